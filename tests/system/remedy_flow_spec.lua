-- Ladders for real: a database that freezes under flow rpa2, a file system that fills, a workload that leaks.
local h = require "harness"
local cjson = require "cjson"
local http = require "endpoint"
local postgres = require "postgres"

local function status(p)
  local code, out = h.ask(p, "status", "--json")
  assert.equal(0, code)
  return cjson.decode(out)
end

-- tend behind a shell's line, with the places that h.spawn would give it.
local function behind(line, flow_dir)
  local dir = h.tempdir()
  local env = {
    CONTAINER_STATE_DIR = dir .. "/state", CONTAINER_LOG_DIR = dir .. "/logs", CONTAINER_DATA_DIR = dir .. "/data", CONTAINER_OUTPUT_DIR = dir .. "/output",
    CONTAINER_ENVIRONMENT = "test", CONTAINER_HTTP_ADDRESS = "off", CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1,
    CONTAINER_RESTART_DELAY_SECONDS = 0.1,
  }
  local p = assert(h.start { argv = { "/bin/sh", "-c", ("%s %s run --flow-name some --flows %s"):format(line, h.quote(h.tend), flow_dir) }, env = env })
  p.dir, p.env = dir, env
  return p
end

describe("flow rpa2", function()
  it("tells and outlives a database that freezes", function()
    local db = postgres.start()
    local p = http.spawn { args = { "run", "--flow-name", "rpa2" }, env = {
      CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_EXECUTION_MODE = "daemon", CONTAINER_EXECUTION_INTERVAL = 3600,
      CONTAINER_HEALTH_CHECK_INTERVAL_SECONDS = 1, CONTAINER_HEALTH_CHECK_TIMEOUT_SECONDS = 1, CONTAINER_MAX_HEALTH_CHECK_FAILURES = 2,
      CONTAINER_MAX_MEMORY_MB = 16, CONTAINER_MAX_CPU_PERCENT = 1 } }
    p:wait_event("health_check_passed", { where = function(e) return e.details.check == "rpa_database" end, deadline = 30 })
    h.wait_for(function() return status(p).ready end, 30)
    db:suspend()
    h.wait_for(function() return not status(p).ready end, 10, "not ready")
    assert.equal(503, http.get(p, "/readyz").status)
    assert.matches("rpa_database", http.get(p, "/readyz").body, 1, true)
    h.wait_for(function() return http.get(p, "/metrics").body:find('tend_database_up{[^}]*database="rpa_database"} 0') end, 10, "the metric")
    local begun = p:wait_event("remediation_started", { deadline = 20 })
    assert.equal("database", begun.details.remedy)
    assert.equal("rpa_database", begun.details.check)
    local ended = p:wait_event("remediation_completed", { deadline = 20 })
    assert.equal("reset", ended.details.steps[1].name)
    assert.equal("ok", ended.details.steps[1].outcome, ended.details.steps[1].detail)
    assert.equal("not_healed", ended.details.result)
    local seen = status(p)
    assert.equal("unhealthy", seen.health)
    assert.equal("database", seen.remediations[1].remedy)
    db:resume()
    local e = p:wait_event("recovery_completed", { where = function(x) return x.details.check == "rpa_database" end, deadline = 20 })
    assert.is_true(e.duration_ms > 500)
    assert.equal("database", e.details.remedy)
    assert.equal("reset", e.details.step)
    assert.truthy(e.details.cause:find("rpa_database", 1, true))
    h.wait_for(function() return status(p).ready end, 20, "ready again")
    p:kill("TERM")
    assert.equal(0, (p:wait(30)))
    local report = cjson.decode(h.read(p.dir .. "/logs/rpa2_lifecycle_metrics.json"))
    assert.equal("database", report.remediations[#report.remediations].remedy)
    db:stop "immediate"
  end)
end)

describe("a file system that fills", function()
  it("is freed by the disk ladder, of declared files alone", function()
    local dir, work = h.tempdir(), h.tempdir()
    if select(2, h.sh(("unshare -m mount -t tmpfs none %s"):format(work))) ~= 0 then
      return pending("needs mounts of its own")
    end
    h.write(dir .. "/some.lua", ([[local ladder, resources = require "policies.ladder", require "policies.resources"
      return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } } },
        checks = { resources.disk { name = "space", path = %q, fail = 80, warn = 70, interval = 0.5, timeout = 0.5, failures = 2 } },
        remedies = { ladder.disk { check = "space", temporary = { path = %q, pattern = { "*.tmp", "*.part" }, older_than_s = 60 } } } }]])
      :format(work, work))
    local p = behind(("exec unshare -m sh -c 'mount -t tmpfs -o size=16m none %s; exec \"$@\"' sh"):format(work), dir)
    p:wait_event("health_check_passed")
    local inside = ("/proc/%d/root%s"):format(p.pid, work)
    h.sh(("cd %s && mkdir sub && head -c 5000000 /dev/zero | tee a.tmp > sub/b.part && head -c 4000000 /dev/zero > keep.csv"):format(inside))
    h.sh(("cd %s && touch new.tmp && ln -s keep.csv link.tmp && touch -d '1 hour ago' a.tmp sub/b.part keep.csv"):format(inside))
    local e = p:wait_event("recovery_completed", { deadline = 20 })
    assert.equal("temporary_files", e.details.step)
    assert.truthy(e.details.cause:find("space", 1, true))
    local left = h.sh("cd " .. inside .. " && find . -type f -o -type l | sort | tr '\\n' ' '")
    assert.equal("./keep.csv ./link.tmp ./new.tmp ", left)
    assert.equal("healthy", status(p).health)
    p:kill("TERM")
    assert.equal(0, (p:wait()))
  end)
end)

describe("a workload that leaks", function()
  it("is caught by its memory check before the kernel kills it", function()
    local group = ("/sys/fs/cgroup/memory/tend-test-leak-%d"):format(h.native.getpid())
    if not h.root or not h.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes") then
      return pending("needs root and control groups version 1")
    end
    finally(function() h.sh(("for i in 1 2 3 4 5 6 7 8 9; do rmdir %s && break; sleep 0.1; done"):format(group)) end)
    h.sh("mkdir -p " .. group)
    h.write(group .. "/memory.limit_in_bytes", tostring(160 << 20))
    local dir = h.tempdir()
    h.write(dir .. "/leak.lua", [[local kept = {} while true do kept[#kept + 1] = ("x"):rep(1 << 20) .. #kept timer.sleep(0.05) end]])
    h.write(dir .. "/some.lua", ([[local ladder, resources = require "policies.ladder", require "policies.resources"
      return { name = "some", mode = "server", processes = { main = { command = { "tend", "script", %q } } },
        checks = { resources.memory { fail = 50, warn = 40, interval = 0.3, timeout = 0.3, failures = 2 } },
        remedies = { ladder.memory { check = "memory" } } }]]):format(dir .. "/leak.lua"))
    local p = behind(("echo $$ > %s/cgroup.procs; exec"):format(group), dir)
    local exit = p:wait_event("process_exited", { deadline = 30 })
    assert.equal("check", exit.details.reason)
    assert.is_false(exit.details.oom)
    p:wait_event("process_started", { nth = 2 })
    local e = p:wait_event("recovery_completed", { where = function(x) return x.details.remedy end, deadline = 20 })
    assert.equal("restart", e.details.step)
    assert.truthy(e.details.cause:find("memory", 1, true))
    local steps = {}
    for i, s in ipairs(p:events("remediation_completed")[1].details.steps) do steps[i] = s.name .. " " .. s.outcome end
    assert.same({ "collect ok", "slow_checks ok", "restart ok" }, steps)
    p:kill("TERM")
    p:wait(20)
  end)
end)
