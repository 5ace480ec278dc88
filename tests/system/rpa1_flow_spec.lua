-- Flow rpa1 as a container runs it: dependencies, repeated runs, a killed job, an orderly stop.
local h = require "harness"
local postgres = require "postgres"

describe("flow rpa1", function()
  local db, dir

  local function environment(more)
    local env = {
      CONTAINER_ENVIRONMENT = "production", CONTAINER_FLOW_NAME = "rpa1", CONTAINER_WORKER_ID = "rpa1-worker-1",
      CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_DATA_DIR = dir, CONTAINER_OUTPUT_DIR = dir .. "/output",
      CONTAINER_MAX_MEMORY_MB = "16", CONTAINER_EXECUTION_INTERVAL = "1", CONTAINER_RESTART_DELAY_SECONDS = "1",
    }
    for name, value in pairs(more or {}) do env[name] = value end
    return env
  end

  local function put(name, from, to)
    local lines = { "id,quantity,unit_price" }
    for i = from, to do lines[#lines + 1] = ("%d,1,2.50"):format(i) end
    local path = dir .. "/input/" .. name
    h.write(path .. ".tmp", table.concat(lines, "\n") .. "\n")
    h.sh(("touch -d '1 minute ago' %s.tmp && mv %s.tmp %s"):format(h.quote(path), h.quote(path), h.quote(path)))
  end

  local function count_output(name)
    local n = 0
    for line in (h.read(dir .. "/output/rpa1/" .. name) or ""):gmatch "[^\n]+" do
      if line:find "^%d+," then n = n + 1 end
    end
    return n
  end

  local function job_of(p)
    for _, pid in ipairs(p:children()) do
      if (h.read("/proc/" .. pid .. "/cmdline") or ""):find("script\0flows/jobs/rpa1.lua", 1, true) then return pid end
    end
    return nil
  end

  setup(function() db = postgres.start() end)

  before_each(function()
    dir = h.tempdir()
    h.sh("mkdir " .. h.quote(dir .. "/input"))
    db:sql "drop table if exists rpa1_files, rpa1_records, rpa1_rejects"
  end)

  it("starts, does its files, does later ones in the next run, and stops in order", function()
    put("a.csv", 1, 40)
    local p = h.spawn { args = { "run" }, env = environment() }
    local started = p:wait_event "startup_completed"
    assert.equal("rpa1-worker-1", started.container_id)
    h.wait_for(function() return count_output "a.csv" == 40 end, 20)
    put("b.csv", 41, 50)
    h.wait_for(function() return count_output "b.csv" == 10 end, 20)
    local ready = {}
    for _, e in ipairs(p:events "dependency_ready") do ready[e.details.name or e.details.dependency] = true end
    assert.is_truthy(ready.rpa_database and ready.rpa1_input_directory)
    p:kill "TERM"
    assert.equal(0, (p:wait(20)), p.err)
    local cleaned = {}
    for _, e in ipairs(p:events "cleanup_completed") do cleaned[#cleaned + 1] = e.details.name .. " " .. e.details.result end
    assert.same({ "file_handles ok", "output_directory_sync ok", "temporary_files ok", "log_rotation ok" }, cleaned)
    assert.is_true(p:wait_event("shutdown_completed").details.graceful)
    assert.is_nil((p.out .. p.err):find("pw-Zk7", 1, true))
  end)

  it("restarts the job after kill -9, and no record is lost or done twice", function()
    put("a.csv", 1, 3000)
    local p = h.spawn { args = { "run" }, env = environment { CONTAINER_RPA1_BATCH_SIZE = "1" } }
    p:wait_event "startup_completed"
    h.wait_for(function() return db:sql "select to_regclass('rpa1_rejects') is not null" == "t" end, 20)
    h.wait_for(function() return tonumber((db:sql "select coalesce(max(rows_done), 0) from rpa1_files")) > 10 end, 20)
    local job = h.wait_for(function() return job_of(p) end)
    h.native.kill(job, 9)
    local restart = p:wait_event("restart_initiated", { deadline = 20 })
    assert.equal("lifecycle_manager", restart.component)
    h.wait_for(function() return count_output "a.csv" == 3000 end, 60)
    assert.equal("3000", db:sql "select count(*) from rpa1_records")
    p:kill "TERM"
    assert.equal(0, (p:wait(20)), p.err)
  end)

  it("says what is wrong with its environment, all at once, and starts nothing", function()
    local code, _, err = h.run { args = { "run", "--flow-name", "rpa1" }, bare = true,
      env = { CONTAINER_RPA1_BATCH_SIZE = "none", CONTAINER_LOG_FORMAT = "json", CONTAINER_STATE_DIR = dir .. "/state" } }
    assert.equal(78, code)
    for _, name in ipairs { "CONTAINER_ENVIRONMENT", "CONTAINER_RPA_DB_CONNECTION_STRING", "CONTAINER_RPA1_BATCH_SIZE" } do
      assert.matches(name, err, 1, true)
    end
  end)

  it("waits for its input directory and fails without it, with 69", function()
    h.sh("rmdir " .. h.quote(dir .. "/input"))
    local code, out, err = h.run { args = { "run" }, env = environment { CONTAINER_RESTART_POLICY = "no" } }
    assert.equal(69, code, out .. err)
    assert.matches("rpa1_input_directory", err, 1, true)
    assert.is_false(h.exists(dir .. "/input"))
  end)
end)
