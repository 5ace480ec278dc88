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

  it("loads no database, HTTP or server library: neither its engine nor the processes around it", function()
    local p = h.spawn { args = { "run", "--flow-name", "demo" }, env = { CONTAINER_HTTP_ADDRESS = "off" } }
    p:wait_event "startup_completed"
    local looked = 0
    local pids = { p.pid }
    for _, pid in ipairs(p:children()) do pids[#pids + 1] = pid end
    for _, pid in ipairs(pids) do
      local maps = h.read(("/proc/%d/maps"):format(pid)) or ""
      if maps:find("/tend\n", 1, true) or maps:find("/tend-guard\n", 1, true) then
        looked = looked + 1
        for _, library in ipairs { "libpq", "libcurl", "libmicrohttpd", "libssl", "/parts/" } do
          assert.is_nil(maps:find(library, 1, true), library)
        end
      end
    end
    assert.is_true(looked >= 3, "guard, init and engine") -- and, for a moment, helpers
    p:kill "TERM"
    assert.equal(0, (p:wait(10)), p.err)
  end)
end)
