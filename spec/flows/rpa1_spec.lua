local tend = require "testing"

local DATABASE = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u@localhost/db" }

local function play(scenario, more)
  local settings = {}
  for _, list in ipairs { DATABASE, more or {} } do
    for name, value in pairs(list) do settings[name] = value end
  end
  return tend.simulate("rpa1", scenario, { settings = settings })
end

describe("flow rpa1", function()
  it("needs its database and its input directory, and nothing else", function()
    local required = {}
    for _, d in ipairs(tend.plan("rpa1", { settings = DATABASE }).dependencies) do
      if d.required then required[#required + 1] = d.name end
    end
    assert.same({ "rpa_database", "rpa1_input_directory" }, required)
  end)

  it("waits for a database that is late, for two minutes", function()
    local run = play { dependencies = { rpa_database = { { is = "refused", lasts = 100 } } } }
    assert.equal("STARTING", run:at(99).state)
    assert.equal("RUNNING", run:at(103).state)
    assert.equal(0, run.restarts)
    run = play({ dependencies = { rpa_database = "refused" } }, { RESTART_POLICY = "no" })
    assert.equal(120, run:first("dependency_failed").at)
    assert.equal(69, run.exit_code)
    run = play({ dependencies = { rpa_database = "refused" } }, { RESTART_POLICY = "no", DEPENDENCY_TIMEOUT_SECONDS = "5" })
    assert.equal(5, run:first("dependency_failed").at)
  end)

  it("resets the pool of a database that is gone, and goes on when it is back", function()
    local run = play { lasts = "2h", dependencies = { rpa_database = { { at = "1h", is = "timeout", lasts = "10m" } } } }
    assert.equal("unhealthy", run:at("1h5m").checks.rpa_database)
    assert.equal("reset", run:first("remediation_step", { remedy = "database" }).details.step)
    assert.equal("healthy", run:at("1h20m").checks.rpa_database)
    assert.equal("RUNNING", run:at("1h5m").state)
  end)

  it("makes room where the output directory is full", function()
    local run = play { checks = { output_space = { { at = 600, is = "full", heals = "rotate_logs" } } } }
    local steps = {}
    for i, e in ipairs(run:events("remediation_step", { remedy = "disk" })) do steps[i] = e.details.step end
    assert.same({ "temporary_files", "rotate_logs" }, steps)
    assert.equal("healed", run:first("remediation_completed", { remedy = "disk" }).details.result)
  end)

  it("restarts the job that fails, each time later, and gives up with its code", function()
    local run = play { lasts = "1d", processes = { main = { { runs = "1h", exit = 0 }, { runs = 20, exit = 3, repeats = true } } } }
    assert.equal(5, run:count("restart_initiated", { process = "main" }))
    assert.equal(160, run:last("restart_initiated").details.delay_seconds)
    assert.equal(3, run.exit_code)
  end)
end)
