-- Files and shell commands.
local lfs = require "lfs"

local files = {}

--- A word as the shell takes it back.
function files.quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

function files.write(path, text)
  local f = assert(io.open(path, "wb"))
  assert(f:write(text))
  assert(f:close())
  return path
end

--- The content of a file, nil when it is not there.
function files.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("a")
  f:close()
  return text
end

function files.exists(path)
  return lfs.symlinkattributes(path, "mode") ~= nil
end

--- Runs a shell command that ends by itself: its output and its exit code.
function files.sh(command)
  local p = assert(io.popen("{ " .. command .. "\n} 2>&1"))
  local out = p:read("a")
  local _, how, code = p:close()
  return out, how == "exit" and code or 128 + code
end

return files
