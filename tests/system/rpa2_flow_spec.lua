-- Flow rpa2 as a container runs it: its plan, its dependencies, a killed job, an orderly stop.
local h = require "harness"
local postgres = require "postgres"
local web = require "web"

describe("flow rpa2", function()
  local db, dir

  local function environment(more)
    local env = {
      CONTAINER_FLOW_NAME = "rpa2", CONTAINER_WORKER_ID = "rpa2-worker-1", CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(),
      CONTAINER_DATA_DIR = dir, CONTAINER_MAX_MEMORY_MB = "16", CONTAINER_MAX_CPU_PERCENT = "1",
      CONTAINER_EXECUTION_INTERVAL = "1", CONTAINER_RESTART_DELAY_SECONDS = "0",
    }
    for name, value in pairs(more or {}) do env[name] = value end
    return env
  end

  local function number(sql) return tonumber((db:sql(sql))) end

  local function wait_table() h.wait_for(function() return db:sql "select to_regclass('rpa2_records_waiting') is not null" == "t" end, 20) end

  local function put(n)
    db:sql(([[insert into rpa2_records (payload) select jsonb_build_object('id', i) from generate_series(1, %d) i]]):format(n))
  end

  local function left() return number "select count(*) from rpa2_records where state = 'waiting'" end

  setup(function() db = postgres.start() end)

  before_each(function()
    dir = h.tempdir()
    db:sql "drop table if exists rpa2_records"
  end)

  it("is told by tend check", function()
    local code, out = h.run { args = { "check", "--flow-name", "rpa2" }, env = environment {
      CONTAINER_RPA2_VALIDATION_ENDPOINT = "http://u:pw-secret@validation-service:8080/validate",
      CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:pw-secret@localhost/db" } }
    assert.equal(0, code, out)
    for _, part in ipairs { "memory: 384 MB", "cpu: 40 %", dir .. "/validation_cache", "rpa_database: postgres, required",
      "validation_service: http, optional", "prefect_server", "survey_hub", "connection_pool: function, critical",
      "temporary_files: remove_temporary", "validation_cache: remove_temporary" } do
      assert.matches(part, out, 1, true)
    end
    assert.is_nil(out:find("pw-secret", 1, true))
    code, out = h.run { args = { "check", "--flow-name", "rpa2" }, env = environment() }
    assert.equal(0, code, out)
    assert.matches("validation_service: http: CONTAINER_RPA2_VALIDATION_ENDPOINT is not given", out, 1, true)
    code, out = h.run { args = { "check", "--flow-name", "rpa2" }, env = environment { CONTAINER_RPA2_VALIDATION_ENDPOINT = "nowhere" } }
    assert.equal(78, code, out)
    assert.matches("CONTAINER_RPA2_VALIDATION_ENDPOINT", out, 1, true)
  end)

  it("takes a service that answers anything but 5xx as up", function()
    if web.missing() then h.skip(web.missing()) end
    local s = web.start()
    for path, word in pairs { ["/status/405"] = "ready", ["/status/200"] = "ready", ["/status/302"] = "ready", ["/status/404"] = "ready",
      ["/status/500"] = "not ready (optional)", ["/close"] = "not ready (optional)", ["/status/503"] = "not ready (optional)" } do
      local code, out = h.run { args = { "check", "--flow-name", "rpa2", "--dependencies" },
        env = environment { CONTAINER_RPA2_VALIDATION_ENDPOINT = s:url(path) } }
      assert.equal(0, code, out) -- it is optional
      assert.matches("validation_service: " .. word, out, 1, true)
    end
  end)

  it("validates, keeps verdicts for a day, and stops in order", function()
    if web.missing() then h.skip(web.missing()) end
    local s = web.start()
    local cache = dir .. "/validation_cache"
    h.sh(("mkdir %s && cd %s && touch -d '2 days ago' verdicts-0.jsonl && touch .verdicts-1.jsonl.abcdef other"):format(
      h.quote(cache), h.quote(cache)))
    local p = h.spawn { args = { "run" }, env = environment { CONTAINER_RPA2_VALIDATION_ENDPOINT = s:url "/validate" } }
    p:wait_event("startup_completed", { deadline = 20 })
    local ready = {}
    for _, e in ipairs(p:events "dependency_ready") do ready[e.details.name] = true end
    assert.is_true(ready.rpa_database and ready.validation_service)
    wait_table()
    put(20)
    h.wait_for(function() return left() == 0 end, 20)
    assert.equal(20, number "select count(*) from rpa2_records where state = 'valid' and checked_by = 'service'")
    assert.matches("verdicts-", h.sh("ls " .. h.quote(cache)), 1, true)
    h.sh(("touch -d '2 days ago' %s/verdicts-0.jsonl"):format(h.quote(cache)))
    p:kill "TERM"
    assert.equal(0, (p:wait(20)), p.err)
    local cleaned = {}
    for _, e in ipairs(p:events "cleanup_completed") do cleaned[#cleaned + 1] = e.details.name .. " " .. e.details.result end
    assert.same({ "connection_pool ok", "temporary_files ok", "validation_cache ok" }, cleaned, p.err)
    assert.is_false(h.exists(cache .. "/verdicts-0.jsonl"))
    assert.is_false(h.exists(cache .. "/.verdicts-1.jsonl.abcdef"))
    assert.is_true(h.exists(cache .. "/other"))
    assert.is_nil((p.out .. p.err):find("pw-Zk7", 1, true))
  end)

  it("restarts the job after kill -9, and each record is validated once", function()
    local p = h.spawn { args = { "run" }, env = environment { CONTAINER_RPA2_BATCH_SIZE = "1" } }
    p:wait_event("startup_completed", { deadline = 20 })
    wait_table()
    put(1000)
    h.wait_for(function() return left() < 990 end, 20)
    local job = h.wait_for(function()
      for _, pid in ipairs(p:children()) do
        if (h.read("/proc/" .. pid .. "/cmdline") or ""):find("script\0flows/jobs/rpa2.lua", 1, true) then return pid end
      end
    end)
    h.native.kill(job, h.signals.KILL)
    p:wait_event("restart_initiated", { deadline = 20 })
    h.wait_for(function() return left() == 0 end, 40)
    assert.equal("1|1", db:sql "select min(times), max(times) from rpa2_records")
    p:kill "TERM"
    assert.equal(0, (p:wait(20)), p.err)
  end)

  it("ends sessions that its job left behind", function()
    local p = h.spawn { args = { "run" }, env = environment() }
    p:wait_event("startup_completed", { deadline = 20 })
    local session = h.start { argv = { "/usr/bin/env", "psql", "-X", "-q", db:keywords() .. " application_name='rpa2 rpa2-worker-1'", "-c", "select pg_sleep(60)" } }
    h.wait_for(function() return number "select count(*) from pg_stat_activity where query like 'select pg_sleep%'" == 1 end)
    p:kill "TERM"
    assert.equal(0, (p:wait(20)), p.err)
    assert.is_true(session:wait(10) ~= 0)
  end)
end)
