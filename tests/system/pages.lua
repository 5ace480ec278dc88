-- What the pages tell a reader to type, as blocks, and a sandbox in which it is typed: see pages_spec.lua.
--
-- A block is fenced (```sh, ```lua, ```sql …), or indented by four blanks after an empty line; one without a language is of
-- the kind that its first line shows. The line before it, "`PATH`:", makes it a file. In a block of commands each line is one,
-- up to "#"; where lines begin with "$ ", only these are, and what follows one is the shape of what it prints: numbers stand
-- for any number, "…" for anything, and there may be more lines.
local h = require "harness"

local pages = {}

local PROGRAMS = { make = true, tend = true, ["build/tend"] = true, docker = true, grep = true, export = true, mkdir = true, touch = true,
  rm = true, mv = true, cp = true, sed = true, sleep = true, echo = true, kubectl = true, curl = true, psql = true, promtool = true, ["$"] = true,
  ["deploy/compose/secrets.sh"] = true }

local function kind_of(line)
  local word = line:gsub("^[%u_%d]+=%S+ ", ""):match("^%S+")
  if PROGRAMS[word] then return "sh" end
  if line:find("^return {") or line:find("^local ") then return "lua" end
  if line:find("^insert into ") or line:find("^update ") or line:find("^select ") then return "sql" end
  if line:find("──", 1, true) or line:find("→", 1, true) then return "picture" end
  return nil
end

--- The blocks of a page, in order: { kind, text, file, line, page }. What cannot be told apart has no kind.
function pages.blocks(path)
  local blocks, block = {}, nil
  local last, number, fence, blank = "", 0, nil, true
  local function close()
    if not block then return end
    block.text = table.concat(block, "\n"):gsub("\n+$", "") .. "\n"
    block.kind = block.kind or kind_of(block[1])
    blocks[#blocks + 1], block = block, nil
  end
  local function open(kind)
    block = { kind = kind, page = path, line = number, file = last:match("^`([^`]+)`:$") }
    last = "" -- it is this block's alone
  end
  for line in (h.read(path) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local mark = line:match("^```(.*)$")
    if fence then
      if mark then fence = nil close() else block[#block + 1] = line end
    elseif mark then
      fence = true
      open(mark ~= "" and mark or nil)
    elseif line:find("^    %S") and (block or blank) or (block and line == "") or (block and line:find("^    ")) then
      if not block then open() end
      block[#block + 1] = line:sub(5)
    else
      close()
      if line ~= "" then last = line end
    end
    blank = line == ""
  end
  close()
  return blocks
end

--- The commands of a block: { { text, shape = lines or nil } … }.
function pages.commands(block)
  local list, session = {}, block[1]:find("^%$ ")
  for _, line in ipairs(block) do
    local text = line
    if session then text = line:match("^%$ (.*)$") end
    if session and not text then
      local command = list[#list]
      command.shape = command.shape or {}
      if line ~= "" then table.insert(command.shape, line) end
    else
      text = text:gsub("%s+#%s.*$", ""):gsub("^#.*", ""):gsub("%s+$", "")
      if text ~= "" then list[#list + 1] = { text = text } end
    end
  end
  return list
end

--- What stands as code in the prose and begins with a word that can be typed: { text … }.
function pages.inline(path)
  local list, text = {}, "\n" .. h.read(path)
  text = text:gsub("\n```.-\n```", ""):gsub("\n    [^\n]*", "")
  for code in text:gmatch("`([^`\n]+)`") do
    local word = code:match("^%S+")
    if word == "make" or ((word == "tend" or word == "build/tend") and code:find(" ")) then list[#list + 1] = code end
  end
  return list
end

--- The line of `out` that a line of a shape stands for, from byte `from` on; nil when there is none.
local function find_shape(shape, out, from)
  local pattern = shape:gsub("…", "\1"):gsub("[%d.]*%d", "\2"):gsub("%s+", "\3"):gsub("%p", "%%%0")
  pattern = pattern:gsub("\1", ".-"):gsub("\2", "[%%d.]+"):gsub("\3", "%%s+")
  while from <= #out do
    local stop = out:find("\n", from, true) or #out + 1
    if out:sub(from, stop - 1):find("^%s*" .. pattern .. "%s*$") then return stop + 1 end
    from = stop + 1
  end
end

function pages.same_shape(shape, out)
  local from = 1
  for _, line in ipairs(shape) do
    from = find_shape(line, out, from)
    if not from then return false, line end
  end
  return true
end

-- The sandbox ------------------------------------------------------------------------------------------------------

local Sandbox = {}
Sandbox.__index = Sandbox

--- A folder like a checkout after `make`, with its own /tmp; `docker logs NAME` shows what runs there, `docker exec NAME` acts on it.
function pages.sandbox(env)
  local dir = h.tempdir()
  local out, code = h.sh(([[cd %s && mkdir -p %s/bin %s/tmp %s/build && cp -r flows scripts docs deploy %s/ && cp -r %s/tend %s/parts %s/build/]])
    :format(h.quote(h.top), dir, dir, dir, dir, h.build, h.build, dir))
  assert(code == 0, out)
  h.sh(("ln -s ../build/tend %s/bin/tend"):format(dir))
  h.write(dir .. "/bin/docker", [[#!/bin/bash
case $1 in
  logs) cat "$SANDBOX/out"; cat "$SANDBOX/err" >&2 ;;
  exec) shift 2; exec "$@" ;;
  *) echo "docker $1 is not played here" >&2; exit 1 ;;
esac
]])
  h.sh(("chmod 755 %s/bin/docker"):format(dir))
  local self = setmetatable({ dir = dir, exports = "", env = {
    SANDBOX = dir, PATH = dir .. "/bin:" .. os.getenv("PATH"), HOME = dir, ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"),
    CONTAINER_STATE_DIR = dir .. "/state", CONTAINER_LOG_DIR = dir .. "/logs", CONTAINER_DATA_DIR = dir .. "/data",
    CONTAINER_OUTPUT_DIR = dir .. "/output", CONTAINER_HTTP_ADDRESS = "off", CONTAINER_MIN_FREE_DISK_MB = "1",
    CONTAINER_LOW_FREE_DISK_MB = "1",
  } }, Sandbox)
  for name, value in pairs(env or {}) do self.env[name] = value end
  return self
end

function Sandbox:inside(text)
  return (text:gsub("%f[%w/]/tmp/", self.dir .. "/tmp/"))
end

function Sandbox:outside(text)
  return (text:gsub(self.dir:gsub("%p", "%%%0") .. "/tmp/", "/tmp/"))
end

function Sandbox:write(path, text)
  h.sh(("mkdir -p %s"):format(h.quote((self.dir .. "/" .. path):match("^(.*)/"))))
  h.write(self.dir .. "/" .. path, self:inside(text))
end

local function start(self, text)
  return assert(h.start { argv = { "/bin/bash", "-c", self.exports .. self:inside(text) }, env = self.env, cwd = self.dir })
end

--- Types one command. One that runs a flow goes on in the background until `finish`; of another, also a command given to
--- `tend run --`, exit code and output.
function Sandbox:type(text)
  local assignments, rest = text:match("^(.-)(%S+ .*)$")
  while rest and rest:find("^[%u_%d]+=%S+ ") do
    local one, after = rest:match("^(%S+ )(.*)$")
    assignments, rest = assignments .. one, after
  end
  if rest and rest:find("^[%w/]*tend run ") and not rest:find(" -- ", 1, true) then
    self:finish()
    self.running = start(self, assignments .. "exec " .. rest)
    h.wait_for(function()
      return self.running:ended() or (self.running.out .. self.running.err):find("startup_completed", 1, true)
    end, 20, "the start of " .. text)
    return not self.running:ended() and 0 or self.running.code, self.running.out .. self.running.err
  end
  if text:find("^export ") then
    self.exports = self.exports .. self:inside(text) .. "\n"
    return 0, ""
  end
  if self.running then
    h.write(self.dir .. "/out", self.running.out)
    h.write(self.dir .. "/err", self.running.err)
  end
  local p = start(self, text)
  local code = p:wait(60)
  return code, p.out .. p.err
end

--- Ends what runs in the background: its exit code, nil when nothing runs.
function Sandbox:finish()
  local p = self.running
  self.running = nil
  if not p then return nil end
  if not p:ended() and not p.err:find("shutdown_initiated", 1, true) then p:kill "TERM" end
  local code = p:wait(30)
  return code, p.out .. p.err
end

return pages
