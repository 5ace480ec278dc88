-- The environment of scripts is a guard rail: what it keeps in cannot be got out of by mistake, nor by trying. Each attempt
-- is a function that returns true where it got what it wanted.
local h = require "harness"

-- where a script runs: in a folder with a second file, links out of it, a compiled chunk, and a secret beside it
local ATTEMPTS = {
  -- what is not there
  { "debug", "return debug.getregistry() ~= nil" },
  { "debug by its global's name", 'return _G["debug"] ~= nil' },
  { "debug by require", 'return require("debug") ~= nil' },
  { "io.open", 'return io.open("/etc/passwd") ~= nil' },
  { "io by require", 'return require("io") ~= nil' },
  { "io.popen", 'return io.popen("id") ~= nil' },
  { "os.execute", 'return os.execute("true")' },
  { "os.exit", "os.exit(0)" },
  { "os.getenv of a secret", 'return os.getenv("CONTAINER_RPA_DB_CONNECTION_STRING") ~= nil' },
  { "os.remove", 'return os.remove("/nowhere") == nil' },
  { "os.rename", 'return os.rename("/nowhere", "/there") == nil' },
  { "os.tmpname", "return os.tmpname() ~= nil" },
  { "os.setlocale", 'return os.setlocale("C") ~= nil' },
  { "os by require", 'return require("os").execute ~= nil' },
  { "package", "return package.path ~= nil" },
  { "package.loaded", "return package.loaded.io ~= nil" },
  { "package.loadlib", 'return package.loadlib("libc.so.6", "system") ~= nil' },
  { "package.searchers", "return #package.searchers > 0" },
  { "package.preload", "package.preload.x = 1 return true" },
  { "package by require", 'return require("package") ~= nil' },
  { "dofile", 'return dofile("/etc/passwd") == nil' },
  { "loadfile", 'return loadfile(FOLDER .. "/second.lua") ~= nil' },
  { "loadstring", 'return loadstring("return 1") ~= nil' },
  { "string.dump", "return #string.dump(function() end) > 0" },
  { "string.dump by a text", 'return (""):dump() ~= nil' },
  { "getfenv", "return getfenv(1) ~= nil" },
  { "newproxy", "return newproxy(true) ~= nil" },
  { "warn", 'warn("@on") return true' },
  -- compiled code
  { "load of compiled code", "return load(BYTECODE) ~= nil" },
  { "load of compiled code, mode b", 'return load(BYTECODE, "x", "b") ~= nil' },
  { "load of compiled code, mode bt", 'return load(BYTECODE, "x", "bt") ~= nil' },
  { "load of compiled code in pieces", [[
    local i = 0
    return load(function() i = i + 1 return i <= #BYTECODE and BYTECODE:sub(i, i) or nil end, "x", "b") ~= nil]] },
  { "require of compiled code", 'return require("compiled") ~= nil' },
  -- other folders
  { "require of a path above", 'return require("../second") ~= nil' },
  { "require of two dots", 'return require("..second") ~= nil' },
  { "require of an absolute path", 'return require("/etc/passwd") ~= nil' },
  { "require with a slash", 'return require("sub/second") ~= nil' },
  { "require with a NUL", 'return require("second\0../../x") ~= nil' },
  { "require of a template", 'return require("?") ~= nil' },
  { "require of a link out of the folder", 'return require("link") ~= nil' },
  { "require of a linked folder", 'return require("away.outside") ~= nil' },
  { "require of a FIFO", 'return require("fifo") ~= nil' },
  { "require of a folder", 'return require("sub") ~= nil' },
  { "require of a very long name", 'return require(("a"):rep(100000)) ~= nil' },
  -- tables of tend's own
  { "a new global", "new_global = 1 return true" },
  { "a new global by rawset", 'rawset(_G, "new_global", 1) return true' },
  { "a global made nil", "print = nil return true" },
  { "a library made nil", "string = nil return true" },
  { "a function of a library", "string.rep = function() end return true" },
  { "a function of a library by rawset", 'rawset(string, "rep", 1) return true' },
  { "a function of a module", "process.run = function() end return true" },
  { "a function of a module by rawset", 'rawset(process, "run", 1) return true' },
  { "a new function of a module", "timer.mine = function() end return true" },
  { "table.insert into a module", "table.insert(timer, 1) return true" },
  { "table.move into a library", "table.move({ 1 }, 1, 1, 1, string) return true" },
  { "table.sort of a library", 'table.sort(setmetatable({}, { __len = function() return 2 end, __index = string, __newindex = string })) return true' },
  { "setmetatable of a module", "setmetatable(timer, {}) return true" },
  { "setmetatable of the globals", "setmetatable(_G, nil) return true" },
  { "getmetatable of the globals", "return getmetatable(_G) and getmetatable(_G).__index ~= nil" },
  { "getmetatable of a module", "getmetatable(timer).__newindex = nil return true" },
  { "getmetatable of a text", 'getmetatable("").__index = {} return true' },
  { "a metatable for texts", 'setmetatable("", {}) return true' },
  { "another _ENV with what is behind", "local _ENV = _G debug.getinfo(1) return true" },
  { "load with an environment of its own", 'return load("return debug", "x", "t", _G)() ~= nil' },
  { "load whose text changes a global", 'load("print = 1")() return true' },
  { "next over what is behind", 'for k in next, _G do if k == "debug" or k == "io" or k == "package" then return true end end' },
  { "pairs over a library for what is hidden", 'for k in pairs(os) do if k == "execute" or k == "exit" then return true end end' },
  { "rawget for what is hidden", 'return rawget(os, "execute") ~= nil or rawget(string, "dump") ~= nil' },
  { "an upvalue of a method", 'return select(2, pcall(string.dump, ("").rep)) == nil' },
  -- finalizers and limits
  { "__gc by setmetatable", "setmetatable({}, { __gc = function() end }) return true" },
  { "__gc that comes later", [[
    local mt = {}
    local ran = false
    setmetatable({}, mt)
    mt.__gc = function() ran = true end
    collectgarbage()
    return ran]] },
  { "__gc by rawset before", [[
    local mt = rawset({}, "__gc", function() end)
    setmetatable({}, mt)
    return true]] },
  { "__gc by a metatable of metatables", [[
    setmetatable({}, setmetatable({}, { __index = { __gc = function() end } }))
    collectgarbage()
    return false]] },
  { "the collector stopped", 'collectgarbage("stop") return true' },
  { "the collector slowed down", 'collectgarbage("setpause", 100000) return true' },
  { "the collector's mode", 'collectgarbage("generational") return true' },
  { "the collector's state", 'return collectgarbage("isrunning") ~= nil' },
  { "a coroutine that waits", "return coroutine.wrap(function() timer.sleep(0.001) return true end)()" },
  { "a yield out of the task", "coroutine.yield(1) return true" },
  { "the running task closed", "coroutine.close(coroutine.running()) return true" },
  { "the running task resumed", "return coroutine.resume(coroutine.running()) == true" },
  { "a closed coroutine that waits", [[
    local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() timer.sleep(0.01) end }) coroutine.yield() end)
    coroutine.resume(co)
    return (coroutine.close(co))]] },
  { "an error that is a metamethod", [[
    local e = setmetatable({}, { __tostring = function() return debug.traceback() end })
    return pcall(error, e) == true]] },
  { "the arguments of tend", 'return fs.read("/proc/self/environ") ~= nil and false or debug ~= nil' },
}

local function script(folder) -- the chunk in an escape sequence: a script is UTF-8
  local bytecode = string.dump(function() return 1 end):gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end)
  local lines = { "local FOLDER = " .. ("%q"):format(folder), 'local BYTECODE = "' .. bytecode .. '"' }
  lines[#lines + 1] = "local attempts = {}"
  for i, attempt in ipairs(ATTEMPTS) do
    lines[#lines + 1] = ("attempts[%d] = { %q, %q }"):format(i, attempt[1], attempt[2])
  end
  lines[#lines + 1] = [[
    local got = {}
    for _, attempt in ipairs(attempts) do
      local fn, problem = load("local FOLDER, BYTECODE = ... " .. attempt[2], attempt[1])
      if not fn then error(attempt[1] .. ": " .. problem) end
      local ok, result = pcall(fn, FOLDER, BYTECODE)
      if ok and result then got[#got + 1] = attempt[1] end
    end
    -- and all is as before
    assert(print and string.rep("x", 2) == "xx" and process.run and timer.sleep and #got >= 0)
    log.info(("%d attempts, got: %s"):format(#attempts, table.concat(got, "; ")))]]
  return table.concat(lines, "\n") .. "\n"
end

describe("nothing gets out", function()
  it("of " .. #ATTEMPTS .. " ways, in a script and in a flow", function()
    assert.is_true(#ATTEMPTS >= 50)
    local dir = h.tempdir()
    local flows, outside = dir .. "/flows", dir .. "/outside"
    h.sh(("mkdir -p %s/sub %s && mkfifo %s/fifo.lua"):format(flows, outside, flows))
    h.write(outside .. "/outside.lua", "return { secret = true }")
    h.write(dir .. "/second.lua", "return { secret = true }")
    h.write(flows .. "/sub/second.lua", "return { second = true }")
    h.write(flows .. "/compiled.lua", string.dump(function() return { 1 } end))
    h.sh(("ln -s %s/outside.lua %s/link.lua && ln -s %s %s/away"):format(outside, flows, outside, flows))
    local text = script(flows)
    h.write(flows .. "/f.lua", text .. 'return { name = "f", mode = "single", processes = { main = { command = { "true" } } } }\n')
    local options = { "--flows", flows, "--scripts", flows }
    local code, _, err = h.run { args = { "script", "--flows", flows, "--scripts", flows, flows .. "/f.lua" } }
    assert.matches(("%d attempts, got: \""):format(#ATTEMPTS), err, 1, true)
    assert.is_true(code == 0 or code == 1, err)
    code, _, err = h.run { args = { "run", "--flow-name", "f", table.unpack(options) } }
    assert.matches(("%d attempts, got: \""):format(#ATTEMPTS), err, 1, true)
    assert.equal(0, code, err)
  end)

  it("and what is within is found, through links too", function()
    local dir = h.tempdir()
    local flows = dir .. "/flows"
    -- as Kubernetes mounts a ConfigMap
    h.sh(("mkdir -p %s/..2026 && ln -s ..2026 %s/..data && ln -s ..data/f.lua %s/f.lua && ln -s ..data/part.lua %s/part.lua")
      :format(flows, flows, flows, flows))
    h.write(flows .. "/..2026/part.lua", 'return { "true" }')
    h.write(flows .. "/..2026/f.lua", 'return { name = "f", mode = "single", processes = { main = { command = require "part" } } }')
    local code, _, err = h.run { args = { "run", "--flow-name", "f", "--flows", flows } }
    assert.equal(0, code, err)
  end)

  it("and a misspelt name is told with the file that has it", function()
    local dir = h.tempdir()
    h.write(dir .. "/part.lua", "local x = 1\nreturn { x = x, y = strng.rep('x', 2) }\n")
    h.write(dir .. "/f.lua", 'local part = require "part"\nreturn { name = "f", processes = { main = { command = { part.y } } } }\n')
    local code, _, err = h.run { args = { "check", "--flow-name", "f", "--flows", dir } }
    assert.equal(78, code)
    assert.matches('part.lua:2: variable "strng" is not defined; did you mean "string"?', err .. _, 1, true)
  end)
end)
