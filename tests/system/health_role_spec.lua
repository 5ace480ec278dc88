-- The roles of health checks: liveness restarts, readiness tells who may ask, startup gates what comes after.
local h = require "harness"
local checking = require "checking"
local spawn, touch, remove, place_with = checking.spawn, checking.touch, checking.remove, checking.place_with
local status, entry, check, wait_status = checking.status, checking.entry, checking.check, checking.wait_status
local wait_state, stop = checking.wait_state, checking.stop

describe("liveness", function()
  it("restarts its process by the policy, and begins anew with it", function()
    local p = spawn([[ file("alive", { role = "liveness", failures = 2 }), ]], { place = place_with "alive" })
    wait_state(p, "alive", "healthy")
    assert.equal("main", check(p, "alive").process)
    remove(p, "alive")
    local exited = p:wait_event("process_exited")
    assert.equal("check", exited.details.reason)
    local restart = p:wait_event("restart_initiated")
    assert.equal("check", restart.details.reason)
    touch(p, "alive")
    p:wait_event("process_started", { nth = 2 })
    wait_state(p, "alive", "healthy")
    stop(p)
  end)

  it("acts within its interval and a tenth of a second", function()
    local p = spawn([[ file("alive", { role = "liveness", failures = 1, interval = 1 }), ]], { place = place_with "alive" })
    wait_state(p, "alive", "healthy")
    local watch = h.stopwatch()
    remove(p, "alive")
    p:wait_event "process_exited"
    assert.is_true((watch()) < 1.1 * h.slow + 0.2) -- the test's own part is up to 0.2 s
    stop(p)
  end)

  it("under policy no is the end, with the workload's code", function()
    local p = spawn([[ file("alive", { role = "liveness", failures = 1 }), ]],
      { env = { CONTAINER_RESTART_POLICY = "no" } })
    assert.equal(143, (p:wait()))
    assert.is_true(p:wait_event("failure_detected", { where = function(e) return e.details.process == "main" and e.details.final end }) ~= nil)
  end)

  it("restarts nothing in mode simple", function()
    local p = spawn([[ file("alive", { role = "liveness", failures = 1 }), ]], { args = { "--mode", "simple" } })
    local s = wait_state(p, "alive", "unhealthy")
    assert.equal("unhealthy", s.health)
    assert.is_false(s.ready)
    assert.equal(0, #p:events "process_exited")
    stop(p)
  end)

  it("of another process leaves main alone, and waits until that one is up", function()
    local p = spawn([[ file("alive", { role = "liveness", process = "side", failures = 1 }), ]], {
      place = place_with "alive",
      process = [[}, side = { command = { "sleep", "1000" },
        startup = { kind = "file", params = { path = dir .. "/started" }, interval = 0.05 } ]],
    })
    assert.is_false(check(p, "alive").active)
    touch(p, "started")
    wait_state(p, "alive", "healthy")
    remove(p, "alive")
    local e = p:wait_event("process_exited")
    assert.equal("side", e.details.process)
    assert.equal("RUNNING", status(p).state)
    stop(p)
  end)
end)

describe("readiness", function()
  it("is not given before the first good result, and is taken away", function()
    local p = spawn [[ file("open", { role = "readiness", failures = 2 }), file("door", { readiness = true, failures = 1 }), ]]
    local s = status(p)
    assert.is_false(s.ready)
    assert.truthy(s.reason:find("not ready: check ", 1, true), s.reason)
    touch(p, "open")
    touch(p, "door")
    s = wait_status(p, "ready", function(x) return x.ready end)
    assert.equal("healthy", s.health)
    assert.equal("readiness", entry(s.checks, "door").role)
    remove(p, "open")
    s = wait_status(p, "not ready", function(x) return not x.ready end)
    assert.equal("unhealthy", s.health)
    assert.truthy(s.reason:find("check open is unhealthy", 1, true), s.reason)
    assert.equal("RUNNING", s.state)
    assert.equal(0, #p:events "process_exited")
    touch(p, "open")
    wait_status(p, "ready", function(x) return x.ready end)
    stop(p)
  end)

  it("pauses where nothing runs", function()
    local p = spawn([[ file("open", { role = "readiness" }), file("flag", {}), ]], { place = place_with("open", "flag") })
    wait_status(p, "ready", function(s) return s.ready end)
    assert.equal(0, (h.ask(p, "stop")))
    local s = status(p)
    assert.equal("STOPPED", s.state)
    assert.is_false(s.ready)
    for _, c in ipairs(s.checks) do assert.is_false(c.active) end
    assert.equal(0, (h.ask(p, "start")))
    wait_status(p, "ready", function(x) return x.ready end)
    stop(p)
  end)
end)

describe("role startup", function()
  it("is the process's start-up check", function()
    local p = spawn([[ file("started", { role = "startup", interval = 0.1 }), file("alive", { role = "liveness" }), ]],
      { wait = false, place = place_with "alive" })
    p:wait_event "process_started"
    wait_status(p, "runs of the start-up check", function(s)
      local c = entry(s.checks, "started")
      return c and c.attempts > 1
    end)
    assert.equal("STARTING", status(p).state)
    assert.is_false(check(p, "alive").active)
    touch(p, "started")
    p:wait_event "startup_completed"
    wait_state(p, "alive", "healthy")
    assert.is_false(check(p, "started").active)
    stop(p)
  end)

  it("gives up after its failures", function()
    local p = spawn([[ file("started", { role = "startup", interval = 0.1, failures = 2 }), ]],
      { wait = false, env = { CONTAINER_RESTART_POLICY = "no" } })
    local e = p:wait_event "process_exited"
    assert.equal("start_timeout", e.details.reason)
    assert.equal(143, (p:wait()))
  end)
end)
