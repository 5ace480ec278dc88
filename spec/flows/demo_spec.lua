local tend = require "testing"

describe("flow demo", function()
  it("runs as long as nothing happens, and ends well on TERM", function()
    local run = tend.simulate("demo", { lasts = "1d", orders = { { at = "12h", signal = "TERM" } } })
    assert.equal("RUNNING", run:at("11h").state)
    assert.equal("up", run:at("11h").processes.main)
    assert.equal(0, run.exit_code)
    assert.equal(0, run.restarts)
  end)

  it("is given up after five restarts within the hour", function()
    local run = tend.simulate("demo", { lasts = "1d", processes = { main = { { runs = 3, exit = 7, repeats = true } } } })
    local delays = {}
    for i, e in ipairs(run:events "restart_initiated") do delays[i] = e.details.delay_seconds end
    assert.same({ 10, 20, 40, 80, 160 }, delays)
    assert.equal(7, run.exit_code)
  end)
end)
