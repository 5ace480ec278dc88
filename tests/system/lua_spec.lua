-- Lua in the engine: flow files that are refused, functions of a flow as checks and handlers, scripts that run away.
local h = require "harness"
local postgres = require "postgres"

local function flow(text, options)
  options = options or {}
  local dir = h.tempdir()
  h.write(dir .. "/x.lua", text)
  local env = { CONTAINER_RESTART_POLICY = "no" }
  for name, value in pairs(options.env or {}) do
    env[name] = value
  end
  return { args = { "run", "--flow-name", "x", "--flows", dir }, env = env, deadline = 60 }
end

local function run(text, options)
  local code, out, err = h.run(flow(text, options))
  return { code = code, out = out, err = err }
end

local MAIN = "processes = { main = { command = { 'true' } } }, mode = 'single'"

describe("a flow file", function()
  it("that cannot be a flow is refused with its place", function()
    for text, message in pairs {
      ["return {\n a = = 1 }"] = "x.lua:2: unexpected symbol",
      ["\nreturn 5"] = "x.lua:2: a flow file returns a table that describes the flow, this one returns a number",
      ["local x = 1"] = "this one returns nothing",
      ["settings.declare {\n  A = { type = 'conection' } }"] = "is none of string, path, paths, integer",
      ["\27LuaT\0\25\147"] = "only text is loaded",
      [("\0\255\1"):rep(5000)] = "NUL bytes",
      ["local x\nwhile true do x = 1 end"] = "x.lua:2: still not loaded after 500 ms of CPU",
      ["while true do pcall(function() while true do end end) end"] = "a loop at top level",
      ["local t = {} for i = 1, 1e10 do t[i] = {} end"] = "x.lua:1: not enough memory",
      [("x"):rep(10 * 1024 * 1024)] = "a script has at most",
      ["\ntimer.sleep(1)"] = "x.lua:2: cannot wait here",
      ["\n\nprobe.tcp '127.0.0.1:1'"] = "x.lua:3: cannot wait here",
      ["return { " .. MAIN .. ",\n checks = { { name = 'a', chek = print } } }"] = "x.lua:2",
      ["return { " .. MAIN .. ", checks = {\n { name = 'a', check = io.open } } }"] = "variable \\\"io\\\" is not defined",
    } do
      local r = run(text)
      assert.equal(78, r.code, r.err)
      assert.is_truthy(r.err:find(message, 1, true), message .. " in " .. r.err)
      assert.is_nil(r.err:find("process_started", 1, true))
    end
  end)

  it("may have functions that wait as checks and handlers", function()
    local r = run([[
      local set = settings.declare { WORD = { default = "hello" } }
      local asked = metrics.counter("asked_total", "Asked.")
      lifecycle.add_dependency_check {
        name = "custom", timeout_seconds = 20, required = true,
        check_function = function()
          asked:inc()
          timer.sleep(0.05)
          local done = assert(process.run { "echo", "from a helper" })
          log.info("seen", { output = done.output, there = fs.exists("/etc/passwd"), asked = asked:value() })
          return asked:value() > 1
        end,
        interval = 0.05,
      }
      lifecycle.add_cleanup_handler(function()
        timer.sleep(0.05)
        log.info("cleaned " .. set.WORD, lifecycle.get_lifecycle_metrics())
        log.info("process " .. assert(process.list())[1].name, assert(process.get("main")))
      end)
      return { ]] .. MAIN .. " }", { env = { CONTAINER_X_WORD = "there" } })
    assert.equal(0, r.code, r.err)
    assert.is_truthy(r.err:find('"output": "from a helper\\n", "there": true', 1, true), r.err)
    assert.is_truthy(r.err:find('"asked": 2', 1, true), r.err)
    assert.is_truthy(r.err:find('"message": "cleaned there"', 1, true), r.err)
    assert.is_truthy(r.err:find('"startup_count": 1', 1, true), r.err)
    assert.is_truthy(r.err:find('"message": "process main", "details": {', 1, true), r.err)
  end)

  it("may wait for a database in a plain function", function()
    if postgres.missing() then
      pending(postgres.missing())
    end
    local db = postgres.start()
    local r = run([[
      return { ]] .. MAIN .. [[, dependencies = { { name = "rows", check = function()
        local rows = assert(postgres.query("rpa_db", "select $1::int as n from pg_sleep(0.1)", 5))
        timer.sleep(0.01)
        log.info("rows", rows[1])
        return rows[1].n == 5
      end } } }
    ]], { env = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri() } })
    assert.equal(0, r.code, r.err)
    assert.is_truthy(r.err:find('"details": {"n": 5}', 1, true), r.err)
  end)
end)

describe("a script that runs away", function()
  it("is ended with its place, and the rest goes on", function()
    local r = run([[
      local function loop() while true do pcall(loop) end end
      return { ]] .. MAIN .. [[, cleanup = {
        { name = "last", run = function() log.info("the last one ran") end },
        { name = "loops", timeout = 5, run = loop },
        { name = "eats", run = function() local t = {} while true do t[#t + 1] = ("x"):rep(1e6) end end },
        { name = "raises", run = function() error("on purpose") end },
        { name = "hangs", timeout = 0.2, run = function() timer.sleep(1000) end },
      } } ]])
    assert.equal(0, r.code, r.err)
    assert.matches("x.lua:1: ended after %d+ ms of CPU", r.err)
    assert.matches("x.lua:5: not enough memory", r.err)
    assert.matches("x.lua:6: on purpose", r.err)
    assert.matches("the last one ran", r.err)
  end)

  it("delays no signal and no other check", function()
    local options = flow [[
      local function loop() while true do end end
      return { mode = "server", processes = { main = { command = { "sleep", "1000" } } },
        dependencies = { { name = "good", check = function() return true end },
          { name = "loops", required = false, timeout = 30, check = loop } } }
    ]]
    local p = h.spawn(options)
    p:wait_event("dependency_ready")
    p:kill("TERM")
    assert.is_number((p:wait(20)))
  end)

  it("in a function that the library calls lets the others have their turns meanwhile", function()
    local p = h.spawn(flow [[
      local turns = 0
      timer.every(0.001, function() turns = turns + 1 end)
      local function meanwhile(work)
        local list = {}
        for i = 1, 100000 do list[i] = i * 7919 % 100003 end
        timer.sleep(0)
        local before = turns
        work(list)
        return turns > before
      end
      local function spin() for _ = 1, 1000 do end end
      return { mode = "server", processes = { main = { command = { "sleep", "1000" } } }, checks = {
        { name = "sort", check = function() return meanwhile(function(list) table.sort(list, function(a, b) return a < b end) end) end },
        { name = "gsub", check = function() return meanwhile(function() ("x"):rep(10000):gsub("x", spin) end) end },
      } }
    ]])
    for _, name in ipairs { "sort", "gsub" } do
      p:wait_event("health_check_passed", { where = function(e) return e.details.check == name end })
    end
    p:kill "TERM"
    assert.equal(0, (p:wait(20)))
  end)
end)
