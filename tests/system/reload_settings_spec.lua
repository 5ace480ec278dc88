-- Settings of a reload, rotated secrets, and probation.
local h = require "harness"
local postgres = require "postgres"
local R = require "reloading"

local MAIN = [[processes = { main = { command = { "sleep", "1000" } } },]]

describe("settings that a reload may change", function()
  it("follow the configuration file and NAME_FILE; the others wait for the next start", function()
    local dir = h.tempdir()
    h.write(dir .. "/config.json", [[{ "MAX_RESTART_ATTEMPTS": 7, "LOG_LEVEL": "INFO", "EXECUTION_INTERVAL": 5 }]])
    h.write(dir .. "/delay", "9\n")
    local r = R.start(MAIN, { watch = true, env = { CONTAINER_CONFIG_FILE = dir .. "/config.json",
      CONTAINER_RESTART_DELAY_SECONDS_FILE = dir .. "/delay" } })
    h.wait_for(function() return r:status().policy.watching end, 10, "the watch")
    h.write(dir .. "/delay", "13\n")
    local e = r.p:wait_event("policy_reloaded")
    assert.same({ { name = "CONTAINER_RESTART_DELAY_SECONDS", keys = "9, now 13", effect = "at_once" } },
      e.details.difference.settings.changed)
    local _, report = h.ask(r.p, "report")
    assert.truthy(report:find('"delay_seconds": 13', 1, true), report)
    h.write(dir .. "/config.json", [[{ "MAX_RESTART_ATTEMPTS": 8, "LOG_LEVEL": "DEBUG", "WORKER_ID": "another" }]])
    r:wait_count("policy_reloaded", 2)
    local changed = {}
    for _, x in ipairs(r.p:events("policy_reloaded")[2].details.difference.settings.changed) do changed[x.name] = x.effect end
    assert.same({ CONTAINER_MAX_RESTART_ATTEMPTS = "at_once", CONTAINER_LOG_LEVEL = "at_once",
      CONTAINER_EXECUTION_INTERVAL = "at_once", CONTAINER_WORKER_ID = "next_start" }, changed)
    assert.equal("some", r:status().container_id:match("^%a+"))
    -- one that is wrong: all is refused
    h.write(dir .. "/config.json", [[{ "MAX_RESTART_ATTEMPTS": "many" }]])
    local refused = r.p:wait_event("policy_rejected")
    assert.equal("CONTAINER_MAX_RESTART_ATTEMPTS", refused.details.key)
    assert.equal(dir .. "/config.json", refused.details.file)
    assert.equal(1, refused.details.line)
  end)

  it("count for the flow's own, too", function()
    local dir = h.tempdir()
    h.write(dir .. "/a", "1")
    h.write(dir .. "/b", "1")
    local r = R.start(MAIN .. [[checks = { { name = "c", interval = set.A, check = function() return true end } },]],
      { env = { CONTAINER_SOME_A_FILE = dir .. "/a", CONTAINER_SOME_B_FILE = dir .. "/b" },
        head = [[local set = settings.declare { A = { type = "integer", reloadable = true }, B = { type = "integer" } }]] })
    h.write(dir .. "/a", "2")
    h.write(dir .. "/b", "2")
    local code, answer = r:reload()
    assert.equal(0, code)
    local changed = {}
    for _, x in ipairs(answer.difference.settings.changed) do changed[x.name] = x.effect end
    assert.same({ CONTAINER_SOME_A = "at_once", CONTAINER_SOME_B = "next_start" }, changed)
    assert.equal("interval", answer.difference.checks.changed[1].keys)
  end)
end)

describe("a new secret", function()
  it("is tried first: what does not work is refused, and never shown", function()
    local pg = postgres.start()
    local dir = h.tempdir()
    local function uri(password) return ("postgresql://rotator:%s@127.0.0.1:%d/postgres"):format(password, pg.port) end
    pg:sql("create role rotator login password 'first-password'")
    local secret = dir .. "/secret"
    h.write(secret, uri("first-password"))
    local r = R.start(MAIN .. [[dependencies = { { name = "rpa_db", kind = "postgres",
      params = { setting = "CONTAINER_RPA_DB_CONNECTION_STRING" }, timeout = 10 } },]],
      { env = { CONTAINER_RPA_DB_CONNECTION_STRING_FILE = secret } })
    h.write(secret, uri("wrong-password"))
    local code, err = r:reload()
    assert.equal(1, code)
    assert.truthy(err:find("CONTAINER_RPA_DB_CONNECTION_STRING", 1, true), err)
    assert.truthy(err:find("authentication", 1, true), err)
    local e = r.p:wait_event("policy_rejected")
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", e.details.key)
    assert.equal("RUNNING", r:status().state)
    assert.is_true(r:status().ready)
    pg:sql("alter role rotator password 'second-password'")
    h.write(secret, uri("second-password"))
    local answer
    code, answer = r:reload()
    assert.equal(0, code)
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", answer.difference.settings.changed[1].name)
    assert.equal("***, now ***", answer.difference.settings.changed[1].keys)
    assert.equal(0, (h.ask(r.p, "check-now", "rpa_db")))
    for _, word in ipairs { "first-password", "wrong-password", "second-password" } do
      assert.is_nil((r.p.err .. r.p.out):find(word, 1, true))
    end
  end)
end)

describe("probation", function()
  local function start(seconds, more)
    return R.start(MAIN .. (more or "") .. [[checks = { { name = "c", interval = 0.1, failures = 1, check = function() return true end } },]],
      { env = { CONTAINER_RELOAD_PROBATION_SECONDS = seconds } })
  end

  it("brings the old policy back when a check that was good turns unhealthy", function()
    local r = start("60")
    local pid = r:processes().main.pid
    h.wait_for(function() return r:checks().c.status == "healthy" end, 10, "health")
    r:rewrite([[processes = { main = { command = { "sleep", "1000" } }, web = { command = { "sleep", "1000" } } },
      checks = { { name = "c", interval = 0.1, failures = 1, check = function() return nil, "broken by the reload" end } },]])
    local e = r.p:wait_event("policy_rolled_back")
    assert.equal("ERROR", e.level)
    assert.equal("check", e.details.cause)
    assert.equal(1, e.details.generation)
    assert.equal(2, e.details.failed_generation)
    assert.truthy(e.message:find("check c was good and is unhealthy since the reload: broken by the reload", 1, true), e.message)
    h.wait_for(function() return r:checks().c.status == "healthy" end, 10, "health again")
    r:wait_process("web", nil)
    assert.equal(pid, r:processes().main.pid)
    assert.equal("rolled_back", r:status().policy.last.result)
    -- the timers and counters of what has not changed since go on; asked for again it is tried again
    assert.equal(0, (r:reload()))
    r:wait_count("policy_rolled_back", 2)
  end)

  it("counts a check that the reload has brought once it was good, not one that never was", function()
    local r = start("60")
    h.wait_for(function() return r:checks().c.status == "healthy" end, 10, "health")
    h.write(r.dir .. "/good", "x")
    r:rewrite(MAIN .. [[checks = {
      { name = "c", interval = 0.1, failures = 1, check = function() return true end },
      { name = "never", interval = 0.1, failures = 1, kind = "file", params = { path = dir .. "/nowhere" } },
      { name = "new", interval = 0.1, failures = 1, kind = "file", params = { path = dir .. "/good" } } },]])
    h.wait_for(function() return r:checks().never.status == "unhealthy" and r:checks().new.status == "healthy" end, 10, "both")
    assert.equal(0, #r.p:events("policy_rolled_back"))
    os.remove(r.dir .. "/good")
    local e = r.p:wait_event("policy_rolled_back")
    assert.truthy(e.message:find("check new was good and is unhealthy since the reload", 1, true), e.message)
    assert.is_nil(r:checks().new)
  end)

  it("brings it back when a script fails that did not before", function()
    local r = start("60", "hooks = { on_stop = function() log.info 'the old hook' end },")
    r:rewrite(MAIN .. [[checks = { { name = "c", interval = 0.1, failures = 1, check = function() return true end },
      { name = "d", interval = 0.1, check = function() error "a mistake" end } },]])
    local e = r.p:wait_event("policy_rolled_back")
    assert.equal("script", e.details.cause)
    assert.truthy(e.details.detail:find("a mistake", 1, true), e.details.detail)
    assert.is_nil(r:checks().d)
    r.p:kill("TERM")
    r.p:wait()
    r.p:wait_line("the old hook", 5, "err")
  end)

  it("is over after its time", function()
    local r = start("200ms")
    h.wait_for(function() return r:checks().c.status == "healthy" end, 10, "health")
    r:rewrite(MAIN .. [[checks = { { name = "c", interval = 0.1, failures = 1, check = function()
      if fs.read(dir .. "/bad") then return nil, "bad" end
      return true end } },]])
    h.wait_for(function() return not r:status().policy.probation end, 10, "the end of it")
    h.write(r.dir .. "/bad", "x")
    h.wait_for(function() return r:checks().c.status == "unhealthy" end, 10, "bad health")
    assert.equal(2, r:status().policy.generation)
    assert.equal(0, #r.p:events("policy_rolled_back"))
  end)

  it("comes back to the last policy that has proved itself", function()
    local r = start("60")
    h.wait_for(function() return r:checks().c.status == "healthy" end, 10, "health")
    r:rewrite(MAIN .. [[checks = { { name = "c", interval = 0.1, failures = 1, check = function() return true end } },
      summary = "between", cleanup = { { name = "between", run = function() end } },]])
    r:rewrite(MAIN .. [[checks = { { name = "c", interval = 0.1, failures = 1, check = function() return nil, "bad" end } },]])
    local e = r.p:wait_event("policy_rolled_back")
    assert.equal(1, e.details.generation)
  end)
end)
