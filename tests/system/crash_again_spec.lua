-- Engines that hang, or die again and again.
local h = require "harness"
local crashing = require "crashing"

local flow, status, main = crashing.flow, crashing.status, crashing.main

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
