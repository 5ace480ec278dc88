-- The tend that is tested: it is run to its end, for what only it knows. Where `tend test` has not said which one it is, that of
-- a checkout after `make`.
local json = require "testing.json"

local program = {}

program.path = os.getenv "TEND_TEST_PROGRAM" or "./" .. (os.getenv "BUILD" or "build") .. "/tend"
program.flows = os.getenv "TEND_TEST_FLOWS" or "./flows"
program.scripts = os.getenv "TEND_TEST_SCRIPTS" or "./scripts"

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local function read(path)
  local f <close> = io.open(path, "rb")
  return f and f:read "a"
end

--- The file NAME in one of the directories of a colon list: its path and text; nil when there is none.
---@param dirs string
---@param name string
---@return string? path, string? text
function program.find(dirs, name)
  for dir in dirs:gmatch "[^:]+" do
    local path = dir .. "/" .. name
    local text = read(path)
    if text then return path, text end
  end
end

--- A file for the time of a call.
---@param text string
---@param fn fun(path: string): any, any
function program.with_file(text, fn)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  local results = table.pack(pcall(fn, path))
  os.remove(path)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Runs it with these words and with no environment but these settings; standard output, the exit code and standard error.
---@param words string[]
---@param settings? table<string, string|number|boolean> names with or without CONTAINER_
---@return string out, integer code, string err
function program.run(words, settings)
  local line = { "env -i", "PATH=" .. quote(os.getenv "PATH" or "/usr/bin:/bin"), "HOME=/" }
  for _, name in ipairs { "ASAN_OPTIONS", "LLVM_PROFILE_FILE" } do
    if os.getenv(name) then line[#line + 1] = name .. "=" .. quote(os.getenv(name)) end
  end
  local given = { CONTAINER_ENVIRONMENT = "test", CONTAINER_FLOWS_DIR = program.flows, CONTAINER_SCRIPTS_DIR = program.scripts }
  for name, value in pairs(settings or {}) do
    given[name:find "^CONTAINER_" and name or "CONTAINER_" .. name] = value
  end
  for name, value in pairs(given) do line[#line + 1] = name .. "=" .. quote(value) end
  line[#line + 1] = quote(program.path)
  for _, word in ipairs(words) do line[#line + 1] = quote(word) end
  return program.with_file("", function(err_path)
    local p = assert(io.popen(table.concat(line, " ") .. " 2>" .. quote(err_path) .. " </dev/null"))
    local out = p:read "a"
    local _, how, code = p:close()
    return out, how == "exit" and code or 128 + code, read(err_path) or ""
  end)
end

--- The same for a command that prints JSON.
---@return table answer, integer code
function program.ask(words, settings, level)
  local out, code, err = program.run(words, settings)
  local answer = json.decode(out)
  if type(answer) ~= "table" then
    error(("%s: %s"):format(words[1], err ~= "" and err:gsub("%s+$", "") or "no JSON came: " .. out), (level or 1) + 1)
  end
  return answer, code
end

-- A value as Lua text. Functions and the like are mistakes.
local function source(value, where, seen)
  local kind = type(value)
  if kind == "string" then return ("%q"):format(value):gsub("\\\n", "\\n") end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  if kind ~= "table" then error(("%s: a %s cannot stand in a scenario"):format(where, kind), 0) end
  if seen[value] then error(where .. ": the table holds itself", 0) end
  seen[value] = true
  local parts, list = {}, #value
  for i = 1, list do parts[#parts + 1] = source(value[i], ("%s[%d]"):format(where, i), seen) end
  for key, item in pairs(value) do
    if not (math.type(key) == "integer" and key >= 1 and key <= list) then
      parts[#parts + 1] = ("[%s] = %s"):format(source(key, where, seen), source(item, where .. "." .. tostring(key), seen))
    end
  end
  seen[value] = nil
  return "{ " .. table.concat(parts, ", ") .. " }"
end

--- A table as the text of a Lua file that returns it.
---@param value table
---@param where string for errors
function program.source(value, where)
  return "return " .. source(value, where, {}) .. "\n"
end

return program
