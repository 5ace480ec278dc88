-- Scripts that nothing can interrupt, engines that hang or die again and again: what becomes of them, and of the workload.
local h = require "harness"
local crashing = require "crashing"

local flow, status, main = crashing.flow, crashing.status, crashing.main

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
