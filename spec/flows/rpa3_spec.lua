local tend = require "testing"

local SETTINGS = {
  CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u@localhost/db", CONTAINER_WORKER_ID = "rpa3-1",
  CONTAINER_RPA3_CONCURRENT_WORKERS = 4, CONTAINER_RPA3_BATCH_SIZE = 100,
}

local function load(given)
  given.settings = SETTINGS
  return tend.load("rpa3", given)
end

describe("flow rpa3", function()
  it("asks for a CPU and 128 MB for each worker", function()
    local flow = load { probes = { resource = true } }
    flow:check "concurrent_processing"
    local asked = flow.world:called "probe.resource"[1][1]
    assert.same({ 4, 512 }, { asked.cpus, asked.memory_mb })
    assert.same({ 768, 4 }, { flow.table.resources.memory_mb, flow.table.resources.cpus })
  end)

  it("has as many workers as the queue has batches, up to four", function()
    local rows = 0
    local flow = load { postgres = function() return { { rows = rows } } end }
    for waiting, workers in pairs { [0] = 1, [100] = 1, [101] = 2, [250] = 3, [5000] = 4 } do
      rows = waiting
      assert.equal(workers, (flow:scale("worker", 1)), waiting)
    end
  end)

  it("leaves the number of workers alone where the queue cannot be asked", function()
    local flow = load { postgres = function() return nil, "refused", "nobody listens" end }
    assert.same({ 3, "nobody listens" }, { flow:scale("worker", 3) })
  end)

  it("removes its own files from shared memory, no others", function()
    local flow = load { files = {
      ["/dev/shm/rpa3-rpa3-1-a"] = "x", ["/dev/shm/rpa3-rpa3-2-a"] = "x", ["/dev/shm/other"] = "x",
    } }
    assert.equal("ok", (flow:cleanup "shared_memory"))
    assert.same({ ["/dev/shm/rpa3-rpa3-2-a"] = "x", ["/dev/shm/other"] = "x" }, flow.world.files)
  end)

  it("tells of workers that are left at the end", function()
    local flow = load { status = { processes = { { name = "worker", pid = 17 }, { name = "main", pid = 18 } } } }
    assert.same({ "failed", "workers still run: 17" }, { flow:cleanup "worker_termination" })
    flow = load { status = { processes = { { name = "worker" } } } }
    assert.equal("ok", (flow:cleanup "worker_termination"))
  end)

  it("ends where a worker is given up: each is essential", function()
    local run = tend.simulate("rpa3", { processes = { ["worker/2"] = { { runs = 5, exit = 4, repeats = true } } } }, { settings = SETTINGS })
    assert.equal(4, run.exit_code)
    assert.equal(5, run:count("restart_initiated", { process = "worker" }))
  end)
end)
