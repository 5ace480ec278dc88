local tend = require "testing"

local DATABASE = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u@localhost/db", CONTAINER_WORKER_ID = "rpa2-1" }

describe("flow rpa2", function()
  it("goes on without its validation service", function()
    local settings = { CONTAINER_RPA2_VALIDATION_ENDPOINT = "http://validate:8000/v1" }
    for name, value in pairs(DATABASE) do settings[name] = value end
    local run = tend.simulate("rpa2", { dependencies = { validation_service = "refused" } }, { settings = settings })
    assert.equal("STARTING", run:at(29).state)
    assert.equal("RUNNING", run:at(35).state)
    assert.equal("bad", run:at(35).dependencies.validation_service)
  end)

  it("takes an answer below 500 of the validation service for its being there", function()
    local settings = { CONTAINER_RPA2_VALIDATION_ENDPOINT = "http://validate:8000/v1" }
    local flow = tend.load("rpa2", { settings = settings, probes = { http = true } })
    assert.equal("ok", (flow:check "validation_service"))
    assert.same({ url = "http://validate:8000/v1", status = "100-499" }, flow.world:called "probe.http"[1][1])
  end)

  it("ends the job's sessions on the server at the end, no others", function()
    local flow = tend.load("rpa2", { settings = DATABASE, postgres = function() return { { ended = 2 } } end })
    assert.equal("ok", (flow:cleanup "connection_pool"))
    local sql, session = table.unpack(flow.world:called "postgres.query"[1])
    assert.matches("pg_terminate_backend", sql, 1, true)
    assert.equal("rpa2 rpa2-1", session)
    assert.is_true(flow.world:logged("no session is left", "info"))
  end)

  it("tells when it cannot end them", function()
    local flow = tend.load("rpa2", { settings = DATABASE, postgres = function() return nil, "refused", "nobody listens" end })
    assert.same({ "failed", "nobody listens" }, { flow:cleanup "connection_pool" })
  end)

  it("restarts the job when it needs too much memory, as the last of the steps", function()
    local run = tend.simulate("rpa2", { checks = { memory = { { at = 300, is = "memory", heals = "restart" } } } }, { settings = DATABASE })
    local steps = {}
    for i, e in ipairs(run:events("remediation_step", { remedy = "memory" })) do steps[i] = e.details.step end
    assert.equal("restart", steps[#steps])
    assert.equal(1, run.restarts)
    assert.equal("healthy", run:at("1h").checks.memory)
  end)
end)
