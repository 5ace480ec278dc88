-- tend.simulate and tend.load: what a spec can ask, and what it is told when it is wrong.
local tend = require "testing"

describe("a simulated run", function()
  local run

  setup(function()
    run = tend.simulate("demo", { lasts = "1d", processes = { main = { { runs = "1h", exit = 3 }, { runs = 5, exit = 1 } } },
      orders = { { at = "20h", stop = true } } })
  end)

  it("knows the state of everything at any time", function()
    assert.same({ "RUNNING", "up", 0 }, { run:at(0).state, run:at(0).processes.main, run:at(0).restarts })
    assert.same({ "RESTARTING", "backoff" }, { run:at("1h5s").state, run:at("1h 5s").processes.main })
    assert.equal(2, run:at("2h").restarts)
    assert.equal("STOPPED", run:at("21h").state)
    assert.equal("STOPPED", run.state)
    assert.equal(24 * 3600, run.lasted)
    assert.equal(30, run:time_in("main", "backoff"))
  end)

  it("gives events by name and details", function()
    assert.equal(2, run:count "restart_initiated")
    assert.equal(3600, run:first("process_exited").at)
    assert.equal(20, run:last("restart_initiated").details.delay_seconds)
    assert.equal(1, run:count("process_exited", { exit_code = 3 }))
    assert.equal(1, run:count("process_exited", function(d) return d.exit_code ~= 3 and d.signal == nil end))
    assert.is_nil(run:first "nothing")
    assert.matches("STARTING -> RUNNING", tostring(run), 1, true)
  end)

  it("is refused with what is wrong with the scenario", function()
    assert.error_matches(function() tend.simulate("demo", { processes = { mian = {} } }) end, "mian")
    assert.error_matches(function() tend.simulate("demo", { lasts = function() end }) end, "scenario%.lasts: a function cannot stand")
    assert.error_matches(function() tend.simulate "nothing" end, "nothing")
    assert.error_matches(function() run:at "soon" end, "expected seconds")
  end)
end)

describe("a loaded flow", function()
  it("is refused as tend refuses it", function()
    assert.error_matches(function() tend.load "nothing" end, "nothing")
    assert.error_matches(function() tend.load("rpa1", { settings = { RPA1_BATCH_SIZE = "many" } }) end, "CONTAINER_RPA1_BATCH_SIZE: many, expected a whole number")
  end)

  it("names what there is where a name is wrong", function()
    local flow = tend.load "rpa1"
    assert.error_matches(function() flow:check "databas" end, "no check databas; there are rpa_database, memory, output_space, rpa_database")
    assert.error_matches(function() flow:cleanup "output_directory_sync" end, "is of kind sync, tend's own")
    assert.error_matches(function() flow:scale "main" end, "has no scale")
    assert.error_matches(function() flow:hook "on_start" end, "no hook on_start")
  end)

  it("asks checks of kinds by the world's probes", function()
    local flow = tend.load("rpa1", { probes = { postgres = "refused", usage = { status = "warn", detail = "82 %" } } })
    assert.equal("fail", (flow:check "rpa_database"))
    local status, detail = flow:check "memory"
    assert.same({ "warn", "82 %" }, { status, detail })
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", flow.world:called "probe.postgres"[1][1].setting)
  end)

  it("has the plan that tend makes", function()
    local plan, problems = tend.plan("rpa3", { settings = { RPA3_CONCURRENT_WORKERS = 3 } })
    assert.equal("rpa3", plan.name)
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", problems[1].name)
  end)
end)
