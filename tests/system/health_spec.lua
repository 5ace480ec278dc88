-- Health checks with the real program: thresholds, rounds, what is told, `tend check-now`.
local h = require "harness"
local cjson = require "cjson"
local endpoint = require "endpoint"
local checking = require "checking"
local spawn, touch, remove, place_with = checking.spawn, checking.touch, checking.remove, checking.place_with
local status, entry, check, wait_status = checking.status, checking.entry, checking.check, checking.wait_status
local wait_state, health, of, stop = checking.wait_state, checking.health, checking.of, checking.stop

local function counted(p, event, name)
  local n = 0
  for _, e in ipairs(p:events(event)) do n = n + (e.details.check == name and 1 or 0) end
  return n
end

describe("a check", function()
  it("turns the container degraded and back, with thresholds, and tells it", function()
    local p = spawn([[ file("flag", { failures = 3, successes = 2 }), ]], { place = place_with "flag" })
    wait_state(p, "flag", "healthy")
    assert.equal("INFO", p:wait_event("health_check_passed", of "flag").level)
    assert.equal("healthy", health(p).status)
    remove(p, "flag")
    local s = wait_state(p, "flag", "unhealthy")
    assert.equal("degraded", s.health)
    assert.is_true(s.ready)
    local c = entry(s.checks, "flag")
    assert.equal("monitor", c.role)
    assert.equal("missing", c.reason)
    assert.equal("fail", c.last)
    assert.is_true(c.failures >= 3 and c.failed >= 3)
    assert.is_true(#c.history >= 4)
    assert.equal("ok", c.history[1][2])
    assert.equal("fail", c.history[#c.history][2])
    local first = p:wait_event("health_check_failed", of "flag")
    assert.equal("WARNING", first.level)
    assert.equal("lifecycle_manager", first.component)
    assert.equal("healthy", first.details.state) -- the threshold is not reached yet
    assert.equal(1, first.details.failures)
    local failure = p:wait_event("failure_detected", of "flag")
    assert.equal(3, failure.details.failures)
    assert.equal("unhealthy", failure.details.state)
    assert.is_false(failure.details.final)
    local v = health(p)
    assert.equal("degraded", v.status)
    assert.truthy(v.reasons[1]:find("check flag is unhealthy: missing", 1, true))
    local _, why = h.ask(p, "why")
    assert.truthy(why:find("check flag (monitor) is unhealthy", 1, true), why)
    touch(p, "flag")
    wait_state(p, "flag", "healthy")
    local back = p:wait_event("recovery_completed", of "flag")
    assert.is_true(back.duration_ms > 100)
    assert.equal(2, counted(p, "health_check_passed", "flag"))
    assert.equal(1, counted(p, "health_check_failed", "flag"))
    assert.equal("healthy", health(p).status)
    stop(p)
  end)

  it("of each kind is run: tcp, command, function", function()
    local server = h.listen()
    local p = spawn(([[
      { name = "port", kind = "tcp", params = { host = "127.0.0.1", port = %d }, interval = 0.1, failures = 1 },
      { name = "said", kind = "command", params = { command = "test -e " .. dir .. "/said" }, interval = 0.1, failures = 1 },
      { name = "fn", interval = 0.1, failures = 1, check = function()
        local found, err = probe.file { path = dir .. "/fn" }
        return found and found.status == "ok" or nil, "no fn"
      end },
    ]]):format(server.port), { place = place_with("said", "fn") })
    for _, name in ipairs { "port", "said", "fn" } do wait_state(p, name, "healthy") end
    server:close()
    remove(p, "said")
    remove(p, "fn")
    for _, name in ipairs { "port", "said", "fn" } do wait_state(p, name, "unhealthy") end
    assert.equal("refused", check(p, "port").reason)
    assert.equal("exit", check(p, "said").reason)
    assert.equal("no fn", check(p, "fn").detail)
    touch(p, "said")
    touch(p, "fn")
    for _, name in ipairs { "said", "fn" } do wait_state(p, name, "healthy") end
    stop(p)
  end)

  it("may count m of n", function()
    -- bad, good, bad, good, bad: never two in a row, three of five
    local p = spawn [[
      { name = "some", interval = 0.1, failures = 3, window = 5, check = (function()
        local n = 0
        return function() n = n + 1 return n % 2 == 0 or n > 5 or nil, "odd" end
      end)() },
    ]]
    local failure = p:wait_event("failure_detected", of "some")
    assert.equal(1, failure.details.failures)
    wait_state(p, "some", "healthy")
    stop(p)
  end)

  it("that warns is good, and degrades", function()
    local p = spawn [[ { name = "full", interval = 0.1, failures = 1, check = function() return "warn", "93 %" end }, ]]
    local s = wait_state(p, "full", "degraded")
    assert.equal("degraded", s.health)
    assert.is_true(s.ready)
    assert.equal("93 %", entry(s.checks, "full").detail)
    assert.equal(0, counted(p, "health_check_failed", "full"))
    stop(p)
  end)

  it("takes its defaults from the settings", function()
    local p = spawn([[ { name = "gone", kind = "file", params = { path = dir .. "/gone" } }, ]],
      { env = { CONTAINER_MAX_HEALTH_CHECK_FAILURES = 2, CONTAINER_HEALTH_CHECK_INTERVAL_SECONDS = 0.1 } })
    assert.equal(2, p:wait_event("failure_detected", of "gone").details.failures)
    stop(p)
  end)

  it("that hangs ends at its timeout, and delays no other", function()
    local p = spawn [[
      { name = "asleep", kind = "command", params = { command = "sleep 1000" }, interval = 0.3, timeout = 0.2, failures = 1 },
      { name = "lost", interval = 0.3, timeout = 0.2, unknowns = 1, check = function() timer.sleep(1000) end },
      { name = "busy", interval = 0.3, timeout = 0.2, unknowns = 1, check = function() while true do end end },
      file("flag", { failures = 1 }),
    ]]
    wait_state(p, "asleep", "unhealthy")
    assert.equal("timeout", check(p, "asleep").reason)
    p:wait_event("check_unknown", of "lost")
    p:wait_event("check_unknown", of "busy")
    local before = check(p, "flag").attempts
    wait_status(p, "runs of flag", function(s) return entry(s.checks, "flag").attempts > before + 2 end)
    stop(p)
    assert.same({}, h.orphans())
  end)

  it("is counted and measured", function()
    local p = spawn([[ file("flag", { failures = 1 }), { name = "broken", interval = 0.1, check = function() error "x" end }, ]],
      { spawn = endpoint.spawn, place = place_with "flag" })
    wait_state(p, "flag", "healthy")
    local function series(name, label)
      local body = endpoint.get(p, "/metrics").body
      return tonumber(body:match("\n" .. name .. "{[^\n]*" .. label .. "} ([%d.e+-]+)"))
    end
    assert.equal(1, series("tend_check_healthy", 'check="flag"'))
    assert.equal(0, series("tend_check_failures_total", 'check="flag"'))
    remove(p, "flag")
    wait_state(p, "flag", "unhealthy")
    assert.equal(0, series("tend_check_healthy", 'check="flag"'))
    assert.is_true(series("tend_check_failures_total", 'check="flag"') >= 1)
    assert.is_true(series("tend_check_runs_total", 'check="flag"') >= 2)
    assert.is_true(series("tend_check_last_duration_seconds", 'check="flag"') > 0)
    assert.is_true(series("tend_check_unknown_total", 'check="broken"') >= 1)
    assert.is_nil(series("tend_check_healthy", 'check="broken"'))
    assert.is_true(series("tend_check_duration_seconds_count", 'kind="file"') >= 2)
    local _, out = h.ask(p, "metrics", "--json")
    assert.is_true(cjson.decode(out).health_check_failures >= 1)
    local r = endpoint.get(p, "/readyz")
    assert.equal(200, r.status)
    stop(p)
  end)

  it("runs once in each round at the least, and rounds are told", function()
    local p = spawn([[ file("flag", {}), file("gone", { failures = 1 }), ]], { place = place_with "flag" })
    local function whole(e) return e.details.checks.flag and e.details.checks.gone end
    local e = p:wait_event("health_check", { where = whole, nth = 2 })
    assert.equal("health_monitor", e.component)
    assert.same({ flag = "ok", gone = "fail" }, e.details.checks)
    assert.equal(1, e.details.passed)
    assert.equal(1, e.details.failed)
    assert.equal("degraded", e.details.health_status)
    assert.is_true(e.details.ready)
    stop(p)
  end)
end)

describe("the child that takes looks at files", function()
  local function lookers(p) -- alone among tend's children it has a socket as its standard input
    local list = {}
    for _, pid in ipairs(p:children()) do
      if h.sh("readlink /proc/" .. pid .. "/fd/0"):find "^socket" then list[#list + 1] = pid end
    end
    return list
  end

  it("is one for many, and is replaced when it hangs or dies", function()
    local checks = {}
    for i = 1, 20 do
      checks[i] = ('{ name = "c%d", kind = "file", params = { path = dir .. "/flag" }, interval = 1, timeout = 0.9, failures = 2 },'):format(i)
    end
    local p = spawn(table.concat(checks, "\n"), { place = place_with "flag" })
    local function all(what)
      return wait_status(p, what, function(s)
        for _, c in ipairs(s.checks) do
          if c.status ~= "healthy" then return false end
        end
        return true
      end)
    end
    local function runs(s)
      local n = 0
      for _, c in ipairs(s.checks) do n = n + c.attempts end
      return n
    end
    all "good results"
    local pids = lookers(p)
    assert.equal(1, #pids)
    h.native.kill(pids[1], h.signals.STOP)
    local before = runs(status(p))
    -- one look hangs with it until its time is over; all others go on with another child
    wait_status(p, "further runs", function(s) return runs(s) > before + 60 end)
    local s = all "good results after the stop"
    local failed = 0
    for _, c in ipairs(s.checks) do failed = failed + c.failed end
    assert.is_true(failed <= 1 * h.slow, failed .. " looks failed")
    assert.is_nil(h.stat(pids[1]))
    h.native.kill(lookers(p)[1], h.signals.KILL)
    before = runs(status(p))
    wait_status(p, "further runs", function(x) return runs(x) > before + 60 end)
    all "good results after the kill"
    stop(p)
    assert.same({}, h.orphans())
  end)

  it("ends when nobody asks any more", function()
    local p = spawn([[ file("flag", { interval = 3600 }), ]], { place = place_with "flag" })
    wait_state(p, "flag", "healthy")
    assert.equal(1, #lookers(p))
    h.wait_for(function() return #lookers(p) == 0 end, 10, "the end of the child")
    assert.equal(0, (h.ask(p, "check-now", "flag")))
    stop(p)
  end)
end)

describe("a check that cannot be run", function()
  it("is unknown, counts for nothing, and raises an alarm that ends", function()
    local p = spawn([[
      { name = "broken", interval = 0.1, failures = 1, unknowns = 3, check = function()
        if probe.file { path = dir .. "/mend" }.status == "ok" then return true end
        error "out of order"
      end },
    ]], {})
    local alarm = p:wait_event("check_unknown", of "broken")
    assert.equal("ERROR", alarm.level)
    assert.equal("health_monitor", alarm.component)
    assert.equal(3, alarm.details.unknowns)
    assert.truthy(alarm.details.detail:find("hc.lua:%d+: out of order"))
    local s = status(p)
    local c = entry(s.checks, "broken")
    assert.equal("unknown", c.status)
    assert.equal(0, c.failed)
    assert.equal("degraded", s.health)
    assert.is_true(s.ready)
    assert.truthy(health(p).reasons[1]:find("check broken cannot be run", 1, true))
    assert.equal(1, #p:events "script_error")
    touch(p, "mend")
    wait_state(p, "broken", "healthy")
    assert.equal("INFO", p:wait_event("check_unknown", { nth = 2 }).level)
    assert.equal(0, counted(p, "health_check_failed", "broken"))
    assert.equal("healthy", health(p).status)
    stop(p)
  end)

  it("returns nonsense of any kind", function()
    local p = spawn [[
      { name = "number", interval = 0.1, failures = 1, unknowns = 1, check = function() return 5 end },
      { name = "word", interval = 0.1, failures = 1, unknowns = 1, check = function() return "perfect" end },
      { name = "status", interval = 0.1, failures = 1, unknowns = 1, check = function() return { status = {} } end },
      { name = "cycle", interval = 0.1, failures = 1, unknowns = 1, check = function() local t = {} t.t = t return t end },
      { name = "utf8", interval = 0.1, failures = 1, check = function() return nil, "\xff\27[31m\n" end },
      { name = "long", interval = 0.1, failures = 1, check = function() return nil, ("x"):rep(1000000) end },
      { name = "move", interval = 0.1, unknowns = 1, check = function() table.move({}, 1, math.maxinteger - 1, 2) return true end },
      { name = "insert", interval = 0.1, unknowns = 1, check = function() table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 0) return true end },
      { name = "rep", interval = 0.1, failures = 1, check = function() return ("").rep("", 1 << 60, "") == "" end },
    ]]
    wait_state(p, "rep", "healthy")
    for _, name in ipairs { "move", "insert" } do
      p:wait_event("check_unknown", of(name))
      assert.truthy(check(p, name).detail:find("more than 10 million elements", 1, true))
    end
    for _, name in ipairs { "number", "word", "status", "cycle" } do
      p:wait_event("check_unknown", of(name))
      assert.equal("unknown", check(p, name).status)
    end
    for _, name in ipairs { "utf8", "long" } do wait_state(p, name, "unhealthy") end
    assert.truthy(check(p, "word").detail:find('the status "perfect"', 1, true))
    assert.is_true(#check(p, "long").detail < 300)
    stop(p)
  end)
end)

describe("tend check-now", function()
  it("runs a check, prints what it said, and changes nothing", function()
    local p = spawn([[ file("flag", { interval = 3600, failures = 1 }), ]], { place = place_with "flag" })
    wait_state(p, "flag", "healthy")
    local before = check(p, "flag")
    local code, out, err = h.ask(p, "check-now", "flag")
    assert.equal("", err)
    assert.equal(0, code)
    assert.truthy(out:find "^flag: ok after %d+%.%d ms\n", out)
    remove(p, "flag")
    code, out = h.ask(p, "check-now", "flag", "--json")
    assert.equal(1, code)
    local v = cjson.decode(out)
    assert.equal("fail", v.result)
    assert.equal("missing", v.reason)
    assert.equal("healthy", v.state)
    local after = check(p, "flag")
    for _, key in ipairs { "status", "attempts", "failures", "failed", "at", "last" } do
      assert.equal(before[key], after[key])
    end
    assert.equal(0, counted(p, "health_check_failed", "flag"))
    stop(p)
  end)

  it("takes dependencies, too, and names what is near", function()
    local p = spawn([[ file("flag", {}), ]],
      { place = place_with("flag", "dep"), more = [[dependencies = { { name = "dep", kind = "file", params = { path = dir .. "/dep" } } },]] })
    local code, out = h.ask(p, "check-now", "dep")
    assert.equal(0, code)
    assert.truthy(out:find("dep: ok", 1, true))
    local none, _, err = h.ask(p, "check-now", "flga")
    assert.equal(1, none)
    assert.truthy(err:find('no check and no dependency "flga" in flow hc; did you mean "flag"?', 1, true), err)
    assert.equal(64, (h.run { args = { "check-now" } }))
    stop(p)
  end)

  it("waits for a check that takes its time, and ends with the engine", function()
    local p = spawn [[ { name = "slow", interval = 3600, timeout = 600, check = function() timer.sleep(500) end }, ]]
    local asked = h.spawn { args = { "check-now", "slow" }, dir = p.dir, env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR } }
    h.wait_for(function() return status(p).state == "RUNNING" end)
    stop(p)
    assert.is_true(asked:wait() ~= 0)
  end)
end)

describe("a flow file's checks", function()
  local function problems(checks, more)
    local dir = h.tempdir()
    h.write(dir .. "/hc.lua", ("return { name = 'hc', processes = { main = { 'true' } }, %s checks = { %s } }"):format(more or "", checks))
    local code, out = h.run { args = { "check", "--flow-name", "hc", "--flows", dir } }
    return code, out
  end

  it("are checked key by key", function()
    for _, case in ipairs {
      { "{ name = 'a', kind = 'file', params = { path = '/' }, role = 'livenes' }", 'did you mean "liveness"' },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, role = 'liveness', process = 'mian' }", 'did you mean "main"' },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, role = 'monitor', readiness = true }", "remove readiness" },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, window = 5 }", "failures = m, window = n" },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, window = 65, failures = 2 }", "64" },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, window = 2, failures = 3 }", "failures = m, window = n" },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, timeout = 5, interval = 2 }", "at most the interval" },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, interval = 0.01 }", "checks[1].interval" },
      { "{ name = 'a', kind = 'file', params = { path = '/' }, role = 'startup' }, { name = 'b', kind = 'file', params = { path = '/' }, role = 'startup' }",
        "process main has one" },
      { "{ name = 'a', kind = 'file', params = { path = '/' } }, { name = 'a', kind = 'file', params = { path = '/' } }", "rename one of the two" },
    } do
      local code, out = problems(case[1])
      assert.equal(78, code, out)
      assert.truthy(out:find(case[2], 1, true), case[1] .. "\n" .. out)
    end
    local code, out = problems "{ name = 'a', kind = 'file', params = { path = '/' }, role = 'liveness', failures = 2, window = 3 }"
    assert.equal(0, code, out)
    assert.truthy(out:find("a: file, liveness of main", 1, true), out)
  end)
end)
