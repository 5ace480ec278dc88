-- Flow rpa3 as a container runs it: its plan, its resources, killed workers and coordinators, an orderly stop.
local h = require "harness"
local postgres = require "postgres"

describe("flow rpa3", function()
  local db
  local cpus = math.min(2, tonumber((h.sh "nproc")))

  local function environment(more)
    local env = {
      CONTAINER_FLOW_NAME = "rpa3", CONTAINER_WORKER_ID = "rpa3-worker-1", CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(),
      CONTAINER_RPA3_CONCURRENT_WORKERS = cpus, CONTAINER_MAX_MEMORY_MB = "16", CONTAINER_MAX_CPU_PERCENT = "1",
      CONTAINER_EXECUTION_INTERVAL = "1", CONTAINER_RESTART_DELAY_SECONDS = "0", CONTAINER_MAX_RESTART_ATTEMPTS = "1000",
    }
    for name, value in pairs(more or {}) do env[name] = value end
    return env
  end

  local function number(sql) return tonumber((db:sql(sql))) end

  local function put(from, to)
    db:sql(([[insert into rpa3_queue (payload) select jsonb_build_object('id', i) from generate_series(%d, %d) i]]):format(from, to))
  end

  --- The processes of the flow that work: front and engine of each.
  local function workload(p, script)
    local list = {}
    for _, pid in ipairs(p:children()) do
      if (h.read("/proc/" .. pid .. "/cmdline") or ""):find("script\0flows/jobs/" .. script, 1, true) then list[#list + 1] = pid end
    end
    return list
  end

  local function wait_tables() h.wait_for(function() return db:sql "select to_regclass('rpa3_results') is not null" == "t" end, 20) end

  local function stop(p)
    p:kill "TERM"
    assert.equal(0, (p:wait(30)), p.err)
  end

  setup(function() db = postgres.start { conf = { max_connections = 40 } } end)

  before_each(function() db:sql "drop table if exists rpa3_results, rpa3_queue; drop sequence if exists rpa3_sessions" end)

  it("is told by tend check, with what its workers need", function()
    local function check(workers)
      return h.run { args = { "check", "--flow-name", "rpa3" }, env = environment {
        CONTAINER_RPA3_CONCURRENT_WORKERS = workers, CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:pw-secret@localhost/db" } }
    end
    local code, out = check(4)
    assert.equal(0, code, out)
    for _, part in ipairs { "memory: 768 MB", "cpu: 75 %", "instances: 4", "rpa_database: postgres, required",
      "concurrent_processing: resource, required, timeout 5s, every 1s; 4 CPUs, 512 MB of memory",
      "prefect_server", "survey_hub", "worker_termination: function, critical", "processing_queue: function",
      "shared_memory: function" } do
      assert.matches(part, out, 1, true)
    end
    assert.is_nil(out:find("pw-secret", 1, true))
    code, out = check(8)
    assert.equal(0, code, out)
    assert.matches("memory: 1024 MB", out, 1, true)
    code, out = check("many")
    assert.equal(78, code, out)
    assert.matches('CONTAINER_RPA3_CONCURRENT_WORKERS: value "many"', out, 1, true)
  end)

  it("does not start without its CPUs, with 69, and says how many there are", function()
    local p = h.start { argv = { "/usr/bin/env", "taskset", "-c", (h.sh "taskset -cp $$ | sed 's/.*: //; s/[-,].*//'"):match "%d+",
      h.tend, "check", "--flow-name", "rpa3", "--dependencies" }, env = environment { CONTAINER_RPA3_CONCURRENT_WORKERS = 2,
      CONTAINER_ENVIRONMENT = "test", CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1 } }
    assert.equal(69, (p:wait(20)), p.out .. p.err)
    assert.matches("concurrent_processing: not ready (required): resource: 1 CPUs, expected at least 2", p.out, 1, true)
    assert.matches("rpa_database: ready", p.out, 1, true)
    local code, out, err = h.run { args = { "run" }, env = environment { CONTAINER_RPA3_CONCURRENT_WORKERS = 256, CONTAINER_RESTART_POLICY = "no" }, deadline = 30 }
    assert.equal(69, code, out .. err)
    assert.matches("CPUs, expected at least 256", err, 1, true)
    assert.matches("set CONTAINER_RPA3_CONCURRENT_WORKERS (256): each worker needs a CPU and 128 MB", err, 1, true)
  end)

  it("drains its queue, removes its shared memory, and stops in order", function()
    local ours, other = "/dev/shm/rpa3-rpa3-worker-1-" .. h.native.getpid(), "/dev/shm/rpa3-other-" .. h.native.getpid()
    finally(function()
      os.remove(ours)
      os.remove(other)
    end)
    h.write(ours, "x")
    h.write(other, "x")
    local p = h.spawn { args = { "run" }, env = environment() }
    p:wait_event("startup_completed", { deadline = 20 })
    wait_tables()
    put(1, 400)
    h.wait_for(function() return number "select count(*) from rpa3_results" == 400 end, 30)
    assert.is_true(#workload(p, "rpa3_worker.lua") >= cpus)
    local _, status = h.ask(p, "status")
    assert.matches("worker", status)
    stop(p)
    local cleaned = {}
    for _, e in ipairs(p:events "cleanup_completed") do cleaned[#cleaned + 1] = e.details.name .. " " .. e.details.result end
    assert.same({ "worker_termination ok", "processing_queue ok", "shared_memory ok" }, cleaned, p.err)
    assert.is_false(h.exists(ours))
    assert.is_true(h.exists(other))
    assert.is_nil((p.out .. p.err):find("pw-Zk7", 1, true))
  end)

  it("ends each row once though workers and coordinator are killed 30 times, and releases its claims at the end", function()
    local p = h.spawn { args = { "run" }, env = environment { CONTAINER_RPA3_BATCH_SIZE = 20 } }
    p:wait_event("startup_completed", { deadline = 20 })
    wait_tables()
    local last, killed = 0, 0
    local deadline = h.native.now() + 120 * h.slow
    while killed < 30 and h.native.now() < deadline do
      if number "select count(*) from rpa3_queue where state <> 'done'" < 100 then
        put(last + 1, last + 300)
        last = last + 300
      end
      local till = h.native.now() + math.random() * 0.3
      h.wait_for(function() return h.native.now() >= till end)
      local pids = workload(p, math.random(4) == 1 and "rpa3.lua" or "rpa3_worker.lua")
      if #pids > 0 then
        h.native.kill(pids[math.random(#pids)], h.signals.KILL)
        killed = killed + 1
      end
    end
    assert.equal(30, killed)
    h.wait_for(function() return number "select count(*) from rpa3_queue where state <> 'done'" == 0 end, 60)
    assert.equal(last, number "select count(*) from rpa3_results")
    assert.equal(1, number "select max(times) from rpa3_results")
    assert.equal(last, number "select count(distinct result->>'id') from rpa3_results")
    put(last + 1, last + 20000)
    h.wait_for(function() return number "select count(*) from rpa3_queue where state = 'claimed'" > 0 end)
    stop(p)
    assert.equal(0, number "select count(*) from rpa3_queue where state = 'claimed'")
    assert.equal(number "select count(*) from rpa3_results", number "select count(*) from rpa3_queue where state = 'done'")
  end)

  it("ends when its queue is empty, in mode single", function()
    local p = h.spawn { args = { "run" }, env = environment { CONTAINER_EXECUTION_MODE = "single" } }
    assert.equal(0, (p:wait(30)), p.err)
    put(1, 50)
    p = h.spawn { args = { "run" }, env = environment { CONTAINER_EXECUTION_MODE = "single" } }
    assert.equal(0, (p:wait(30)), p.err)
    assert.equal(50, number "select count(*) from rpa3_results")
  end)
end)
