-- Flow demo: needs nothing but the machine.
local h = require "harness"

describe("flow demo", function()
  it("starts, says its lines, and stops at once", function()
    local p = h.spawn { args = { "run", "--flow-name", "demo" } }
    p:wait_event "startup_completed"
    p:wait_line "demo: round 1"
    p:kill "TERM"
    assert.equal(0, (p:wait(10)), p.err)
    p:wait_line("demo: stopping after %d+ rounds", 5, "out")
    assert.is_true(p:wait_event("shutdown_completed").details.graceful)
  end)
end)
