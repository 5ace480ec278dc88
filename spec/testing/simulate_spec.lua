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

describe("hooks of a loaded flow", function()
  local program = require "testing.program"
  local flows, dir = program.flows, os.tmpname()

  setup(function()
    os.remove(dir)
    os.execute("mkdir " .. dir)
    local f <close> = io.open(dir .. "/hooked.lua", "w")
    f:write [[
      hooks.add("on_exit", { name = "added", after = "second", run = function(about) if about.exit_code == 9 then return "fail", "nine" end end })
      return { name = "hooked", processes = { main = { "true" } }, hooks = {
        on_exit = {
          { name = "second", after = "first", run = function(about) if about.decision == "restart" then return { action = "restart", delay = 60 } end end },
          { name = "first", run = function(about) if about.exit_code == 75 then return "restart" end end },
        },
        on_stop = function() timer.sleep(20) end, on_start = function() return "nonsense" end,
      } }
    ]]
    program.flows = dir
  end)
  teardown(function()
    program.flows = flows
    os.execute("rm -r " .. dir)
  end)

  it("decide in their order, over the default", function()
    local flow = tend.load "hooked"
    assert.equal("stop", (flow:hook("on_exit", { exit_code = 1, default = "stop" })))
    assert.same({ "restart", { action = "restart", delay = 60, by = "second" } }, { flow:hook("on_exit", { exit_code = 75, default = "fail" }) })
    assert.same({ "fail", { action = "fail", reason = "nine", by = "added" } }, { flow:hook("on_exit", { exit_code = 9, default = "restart" }) })
  end)

  it("that are late or make no sense count for nothing", function()
    local flow = tend.load "hooked"
    assert.is_nil((flow:hook "on_stop"))
    assert.equal("start", (flow:hook("on_start", { default = "start" })))
    assert.same({ "on_stop_1: timeout", "on_start_1: no such choice: nonsense" }, flow.world.errors)
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
