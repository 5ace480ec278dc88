-- Scripts that nothing can interrupt, engines that hang or die again and again: what becomes of them, and of the workload.
local cjson = require "cjson"
local h = require "harness"
local crashing = require "crashing"

local function flow(text, o)
  o = o or {}
  local dir = h.tempdir()
  h.sh("mkdir " .. dir .. "/flows")
  h.write(dir .. "/flows/f.lua", text)
  if o.before then o.before(dir .. "/flows") end
  o.args = { "run", "--flow-name", "f", "--flows", dir .. "/flows" }
  o.env = o.env or {}
  local p = h.spawn(o)
  p.flows = dir .. "/flows"
  return p
end

local function status(p)
  local code, out, err = h.ask(p, "status", "--json")
  assert.equal(0, code, err)
  return cjson.decode(out)
end

local function main(p) return status(p).processes[1] end

local bomb = [[(("a"):rep(1e5)):find((".-"):rep(40) .. "b")]]

describe("a pattern bomb", function()
  it("in a check: the check is quarantined and named, the workload goes on", function()
    local p = flow(([[return { name = "f", mode = "server",
      processes = { main = { command = { "sh", "-c", "%s" } } },
      checks = {
        { name = "fine", interval = 1, check = function() return true end },
        { name = "guilty", interval = 1, check = function()
          return %s
        end },
      } }]]):format(crashing.counter(), bomb))
    p:wait_event("startup_completed")
    local pid = main(p).pid
    local event = p:wait_event("quarantined")
    assert.equal("guilty", event.details.task)
    assert.equal(p.flows .. "/f.lua:6", event.details.where)
    local restarted = p:events("engine_restarted")[1]
    assert.equal("script", restarted.details.cause)
    assert.equal("guilty", restarted.details.quarantined)
    assert.equal(pid, main(p).pid)
    local function check(name)
      for _, c in ipairs(status(p).checks) do if c.name == name then return c end end
    end
    h.wait_for(function() return check("guilty").last == "unknown" and check("fine").last == "ok" end, 5)
    assert.matches("quarantined", check("guilty").detail)
    assert.matches("guilty is quarantined", status(p).warnings[1])
    assert.equal(1, #p:events("quarantined"))
    -- an operator lets it run again, and it does it again
    assert.equal(0, (h.ask(p, "release", "guilty")))
    p:wait_event("quarantined", { nth = 2 })
    assert.equal(pid, main(p).pid)
    assert.equal(1, (h.ask(p, "release", "nobody")))
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
    assert.is_true(crashing.lines(p) > 100)
  end)

  it("in a cleanup handler: it counts as failed, the others run", function()
    local p = flow(([[return { name = "f", mode = "server",
      processes = { main = { command = { "sleep", "1000" } } },
      cleanup = { { name = "last", run = function() log.info "last" end },
                  { name = "guilty", run = function() return %s end } } }]]):format(bomb))
    p:wait_event("startup_completed")
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
    local done = p:events("cleanup_completed")
    assert.equal("guilty", done[1].details.name)
    assert.equal("failed", done[1].details.result)
    assert.equal("last", done[2].details.name)
    assert.equal("ok", done[2].details.result)
  end)

  it("at the top of a flow file ends the start, and every command that loads it, with its name", function()
    local p = flow("local x = 1\nx = " .. bomb .. "\nreturn {}\n")
    assert.equal(78, (p:wait()), p.err)
    local event = p:events("validation_completed")[1]
    assert.matches("f.lua:2: %d+ ms of CPU in one call", event.message)
    for _, command in ipairs { "check", "config" } do
      local code, _, err = h.run { args = { command, "--flow-name", "f", "--flows", p.flows } }
      assert.equal(78, code)
      assert.matches("^tend: [^\n]*f.lua:2: [^\n]*\n$", err)
    end
  end)
end)

describe("an engine that hangs", function()
  it("is ended and followed by another", function()
    local p = flow [[return { name = "f", mode = "server", processes = { main = { command = { "sleep", "1000" } } },
      checks = { { name = "fine", interval = 1, check = function() return true end } } }]]
    p:wait_event("health_check_passed")
    local pid = main(p).pid
    h.native.kill(crashing.engine(p), h.signals.STOP)
    local event = p:wait_event("engine_restarted", { deadline = 15 })
    assert.equal("hung", event.details.cause)
    assert.equal(pid, main(p).pid)
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
  end)
end)

describe("a reload", function()
  it("of a flow file with a pattern bomb is refused, the old policy stays, and it is tried again when it has changed", function()
    local text = ([[return { name = "f", mode = "server", processes = { main = { command = { "sh", "-c", "%s" } } },
      checks = { { name = "%%s", interval = 1, check = function() return true end } } }]]):format(crashing.counter())
    local p = flow(text:format("first"))
    p:wait_event("health_check_passed")
    local pid = main(p).pid
    h.write(p.flows .. "/f.lua", "local x = " .. bomb .. "\n" .. text:format("second"))
    local event = p:wait_event("policy_rejected", { deadline = 15 })
    assert.matches("f.lua:1: %d+ ms of CPU in one call", event.message)
    assert.equal(1, #p:events("engine_restarted"))
    assert.equal(pid, main(p).pid)
    assert.equal("first", status(p).checks[1].name)
    -- whatever else becomes of the engine, it is not loaded again
    crashing.kill(p)
    h.wait_for(function() return status(p).checks[1].last == "ok" end, 5)
    assert.equal(1, #p:events("policy_rejected"))
    h.write(p.flows .. "/f.lua", text:format("third"))
    p:wait_event("policy_reloaded", { deadline = 15 })
    assert.equal("third", status(p).checks[1].name)
    assert.equal(pid, main(p).pid)
    assert.equal(2, #p:events("engine_restarted"))
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
    crashing.lines(p)
  end)
end)

describe("what is on disk", function()
  it("does not matter to a new engine: the policy that was accepted is in force, secrets from files too", function()
    local dir = h.tempdir()
    h.write(dir .. "/secret", "postgresql://u:geheim@localhost:1/x")
    local p = flow([[local part = require "part"
      return { name = "f", mode = "server", processes = { main = { command = { "sh", "-c", "echo up; exec sleep 1000" } } },
      checks = { { name = "mine", interval = 1, check = function() return part.good end } } }]], {
      before = function(flows) h.write(flows .. "/part.lua", "return { good = true }") end,
      env = { CONTAINER_RPA_DB_CONNECTION_STRING_FILE = dir .. "/secret", CONTAINER_RELOAD = "manual" },
    })
    p:wait_event("health_check_passed")
    h.native.poll({}, 300) -- the policy goes to init once the start has settled
    h.sh(("rm -r %s %s/secret"):format(p.flows, dir))
    crashing.kill(p)
    h.wait_for(function() return status(p).checks[1].last == "ok" end, 5)
    assert.equal("mine", status(p).checks[1].name)
    local _, out = h.ask(p, "config", "--json")
    assert.falsy((out .. p.err):find("geheim", 1, true))
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
  end)
end)

describe("again and again", function()
  it("three deaths in a minute lead to safe mode, three more to init alone", function()
    local p = flow(([[return { name = "f", mode = "server",
      processes = { main = { command = { "sh", "-c", "%s" } }, other = { command = { "sleep", "1000" }, restart = { delay = 0.05 } } },
      checks = { { name = "mine", interval = 1, check = function() return true end } },
      hooks = { on_stop = function() log.info "stop hook" end },
      cleanup = { function() log.info "cleanup" end } }]]):format(crashing.counter()))
    p:wait_event("health_check_passed")
    h.native.poll({}, 300)
    local pid = main(p).pid
    assert.is_false(crashing.kill(p).details.safe_mode)
    assert.is_false(crashing.kill(p).details.safe_mode)
    assert.is_true(crashing.kill(p).details.safe_mode)
    local now = status(p)
    assert.equal("RUNNING", now.state)
    assert.equal("degraded", now.health)
    assert.same({}, now.checks)
    assert.matches("safe mode", now.warnings[1])
    local of = {}
    for _, process in ipairs(now.processes) do of[process.name] = process end
    assert.equal(pid, of.main.pid)
    -- the processes' own policies go on
    h.native.kill(of.other.pid, h.signals.KILL)
    h.wait_for(function()
      for _, process in ipairs(status(p).processes) do
        if process.name == "other" then return process.state == "up" and process.pid ~= of.other.pid end
      end
    end, 5, "a restart in safe mode")
    -- an operator's reload brings scripts and checks back; the next engine is a safe one again
    assert.equal(0, (h.ask(p, "reload")))
    assert.equal("mine", status(p).checks[1].name)
    assert.is_true(crashing.kill(p).details.safe_mode)
    assert.same({}, status(p).checks)
    crashing.kill(p)
    h.native.kill(crashing.engine(p), h.signals.KILL)
    h.wait_for(function() return p.err:find("init goes on alone", 1, true) end, 5)
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
    crashing.lines(p)
    assert.same({}, h.orphans())
  end)
end)

-- Ways to want too much at once: memory, stack, output, numbers that no data has. What only loops is in tests/unit/test_task.c.
local WANTS = {
  'return ("x"):rep(1e9)',
  'return ("x"):rep(1e7, ("y"):rep(100))',
  'return (""):rep(1e15)',
  'local s = "x" while true do s = s .. s end',
  "local t = {} for i = 1, 1e9 do t[i] = i end",
  "local t = {} while true do t = { t, t } t[3] = ('x'):rep(1000) .. #t end",
  'local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1e6) end return table.concat(t)',
  'local t = {} for i = 1, 1e5 do t[i] = "x" end return #table.concat(t, ("y"):rep(1e4))',
  'return ("%99999d"):format(1)',
  'return ("%.99999f"):format(1)',
  'local s = ("x"):rep(1e7) return ("%s%s%s%s%s%s%s%s%s%s"):format(s, s, s, s, s, s, s, s, s, s)',
  'return (("x"):rep(1e5)):gsub("x", ("y"):rep(1e4))',
  'return (("x"):rep(1e6)):gsub("", ("y"):rep(1e3))',
  'return (("x"):rep(1e5)):gsub("x", function() return ("y"):rep(1e4) end)',
  'local function again() return (("x"):gsub("x", again)) end return again()',
  'return string.pack("s8", ("x"):rep(6e7)) .. string.pack("s8", ("x"):rep(6e7))',
  'return string.pack("!16 i17", 1)',
  'return string.packsize(("i16"):rep(1e6))',
  'return string.unpack("s8", "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x7f")',
  'return load(("x = 1 "):rep(1e7))',
  'return load(function() return "x = 1 " end)',
  'return load(("("):rep(1e6))',
  'return load("return " .. ("{"):rep(1e5))',
  'return load("local " .. ("a,"):rep(300) .. "a")',
  "local function r() return 1 + r() end return r()",
  "local function r(...) return r(1, ...) end return r()",
  "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 1] end return t.x",
  "local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) return tostring(t)",
  "local a, b = setmetatable({}, {}), {} getmetatable(a).__index = a return a.x",
  "local function nest(n) return coroutine.wrap(function() return nest(n + 1) end)() end return nest(0)",
  "local function nest() return pcall(nest) end return nest()",
  "local t = {} for i = 1, 1e6 do t[i] = coroutine.create(function() end) end",
  "return table.unpack({}, 1, 1e7)",
  "return select('#', table.unpack({}, 1, 1e6))",
  "return table.move({}, 1, math.maxinteger, 2)",
  "return table.move({}, 1, 1e9, 2)",
  "return table.remove(setmetatable({}, { __len = function() return math.maxinteger end }), 1)",
  "return table.concat(setmetatable({}, { __len = function() return 1e9 end, __index = function() return ('x'):rep(1e6) end }))",
  "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return math.random() < 0.5 end)",
  "return (('x'):rep(1e7)):byte(1, -1)",
  "return utf8.char(table.unpack({}, 1, 200))",
  "return os.date(('%c'):rep(1e6))",
  "return json.encode(setmetatable({}, { __index = function() return 1 end }))",
  "local t = {} t[1] = t return json.encode(t)",
  "local t = {} for i = 1, 1e5 do t = { t } end return json.encode(t)",
  "return json.decode(('['):rep(1e6))",
  "error(('x'):rep(1e7))",
  "error(setmetatable({}, { __tostring = function() return ('x'):rep(1e7) end }))",
  "local t = {} t.t = t error(t)",
  "return ('x'):rep(1e7)",
  "local t = {} t.t = t return t",
  "log.info(('x'):rep(1e7))",
  "for _ = 1, 500 do log.info(('x'):rep(1e4)) end",
  "for _ = 1, 2000 do print('x') end",
  "local x <close> = setmetatable({}, { __close = function() error(('y'):rep(1e6)) end }) error('x')",
  "for i = 1, 1e5 do local x <close> = setmetatable({}, { __close = function() end }) end",
  "while true do timer.after(100, function() end) end",
  "for i = 1, 1e6 do metrics.counter('m' .. i) end",
  "return #(('ab'):rep(1e6)):gsub('(a)(b)', '%2%1')",
}

describe("a check that wants too much", function()
  it("gets an error, of " .. #WANTS .. " kinds; another one keeps its times, no line of the workload is lost", function()
    local lines = {}
    for i, want in ipairs(WANTS) do
      lines[i] = ("{ name = %q, interval = 600, check = function() %s end },"):format("want" .. i, want)
    end
    local p = flow(([[return { name = "f", mode = "server", processes = { main = { command = { "sh", "-c", "%s" } } },
      checks = { { name = "fine", interval = 1, check = function() return true end },
%s
      } }]]):format(crashing.counter(), table.concat(lines, "\n")))
    p:wait_event("startup_completed")
    h.wait_for(function()
      local _, out = h.ask(p, "status", "--json")
      for _, check in ipairs(cjson.decode(out).checks) do
        if not check.last or check.last == cjson.null then return false end
      end
      return true
    end, 60, "the result of each")
    assert.same({}, p:events("engine_restarted"))
    assert.same({}, p:events("quarantined"))
    for _, check in ipairs(status(p).checks) do
      if check.name == "fine" then assert.equal("ok", check.last) end
    end
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err:sub(-2000))
    crashing.lines(p)
  end)
end)
