-- Settings, validation and `tend config`, from outside.
local h = require "harness"
local cjson = require "cjson"

local function failures(p_err)
  for line in p_err:gmatch("[^\n]+") do
    local ok, event = pcall(cjson.decode, line)
    if ok and event.event == "validation_completed" then return event.details.failures, event end
  end
end

local function by_name(list)
  local names = {}
  for _, f in ipairs(list or {}) do names[f.name] = f end
  return names
end

local function run(options)
  local r = {}
  r.code, r.out, r.err = h.run(options)
  return r
end

describe("settings", function()
  it("tells everything that is wrong at once, and ends with 78", function()
    local r = run {
      args = { "run", "--", "true" },
      env = {
        CONTAINER_RESTART_POLICY = "sometimes",
        CONTAINER_MAX_RESTART_ATTEMPTS = "-1",
        CONTAINER_HTTP_TOKEN_FILE = "/nonexistent/token",
        CONTAINER_LOG_DIR = "/proc/none",
      },
    }
    assert.equal(78, r.code)
    local list, event = failures(r.err)
    local names = by_name(list)
    assert.equal(4, #list)
    assert.equal("CRITICAL", event.level)
    assert.equal("sometimes", names.CONTAINER_RESTART_POLICY.value)
    assert.equal("environment", names.CONTAINER_RESTART_POLICY.source)
    assert.matches("on%-failure", names.CONTAINER_RESTART_POLICY.allowed)
    assert.matches("from 0 to 1024", names.CONTAINER_MAX_RESTART_ATTEMPTS.allowed)
    assert.equal("/nonexistent/token", names.CONTAINER_HTTP_TOKEN_FILE.value)
    assert.equal("directories", names.CONTAINER_LOG_DIR.check)
  end)

  it("takes the command line before the environment before the file", function()
    local dir = h.tempdir()
    h.write(dir .. "/tend.json", '{"log_level": "error", "restart_delay_seconds": 7,\n "execution_interval": "2m"}')
    local r = run {
      args = { "config", "--json", "--config", dir .. "/tend.json", "--log-level", "debug" },
      env = { CONTAINER_LOG_LEVEL = "warning", CONTAINER_RESTART_DELAY_SECONDS = "8" },
    }
    assert.equal(0, r.code)
    local names = by_name(cjson.decode(r.out).settings)
    assert.equal("debug", names.CONTAINER_LOG_LEVEL.value)
    assert.equal("--log-level", names.CONTAINER_LOG_LEVEL.origin)
    assert.equal("8", names.CONTAINER_RESTART_DELAY_SECONDS.value)
    assert.equal("environment", names.CONTAINER_RESTART_DELAY_SECONDS.origin)
    assert.equal("2m", names.CONTAINER_EXECUTION_INTERVAL.value)
    assert.equal(dir .. "/tend.json:2", names.CONTAINER_EXECUTION_INTERVAL.origin)
    assert.equal("default", names.CONTAINER_MAX_RESTART_DELAY_SECONDS.origin)
  end)

  it("shows no secret", function()
    local dir = h.tempdir()
    h.write(dir .. "/token", "tok3n-of-the-file\n")
    local env = {
      CONTAINER_HTTP_TOKEN_FILE = dir .. "/token",
      CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://user:geheimnis@localhost/db",
      CONTAINER_DATABASE_ORDERS_CONNECTION_STRING = "host=x password='ganz geheim'",
      CONTAINER_WORKER_ID = "me-geheimnis",
      CONTAINER_PREFECT_API_URL = "http://me:preis@host",
      CONTAINER_LOG_LEVEL = "debug",
    }
    for _, args in ipairs { { "config" }, { "config", "--json" } } do
      local r = run { args = args, env = env }
      assert.equal(0, r.code)
      local all = r.out .. r.err
      for _, secret in ipairs { "geheimnis", "ganz geheim", "tok3n" } do
        assert.is_nil(all:find(secret, 1, true), table.concat(args, " ") .. ": " .. secret)
      end
    end
    local config = run({ args = { "config" }, env = env }).out
    assert.matches("CONTAINER_HTTP_TOKEN +%*%*%* ", config)
    assert.truthy(config:find(dir .. "/token", 1, true))
    assert.matches("CONTAINER_WORKER_ID +me%-%*%*%* ", config)
    assert.matches("CONTAINER_PREFECT_API_URL +http://me:%*%*%*@host ", config)
  end)

  it("logs no secret", function()
    local _, out, err = h.run {
      args = { "run", "--", "true" },
      env = {
        CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://user:geheimnis@localhost/db",
        CONTAINER_HTTP_ADDRESS = "postgresql://user:geheimnis@localhost/db", -- put in the wrong place by mistake
        CONTAINER_LOG_LEVEL = "debug",
      },
    }
    assert.is_nil((out .. err):find("geheimnis", 1, true))
    assert.matches("CONTAINER_HTTP_ADDRESS: value .*%*%*%*", err)
  end)

  it("names the setting that was probably meant, and starts", function()
    local r = run { args = { "run", "--", "true" }, env = { CONTAINER_RESTART_POLICI = "no", CONTAINER_X_Y = "1" } }
    assert.equal(0, r.code)
    local list, event = failures(r.err)
    assert.equal(0, #list)
    assert.equal("WARNING", event.level)
    assert.equal("CONTAINER_RESTART_POLICY", by_name(event.details.warnings).CONTAINER_RESTART_POLICI.allowed)
    assert.is_nil(by_name(event.details.warnings).CONTAINER_X_Y)
  end)

  it("refuses a flow name that differs from the option's", function()
    local r = run { args = { "run", "--flow-name", "demo", "--", "true" }, env = { CONTAINER_FLOW_NAME = "rpa1" } }
    assert.equal(78, r.code)
    local list = failures(r.err)
    assert.equal(1, #list)
    assert.equal("flow_name", list[1].check)
  end)

  it("ends with 75 where the disk is too full, after the restarts that are allowed", function()
    local r = run {
      args = { "run", "--", "true" },
      env = { CONTAINER_MIN_FREE_DISK_MB = "1099511627776", CONTAINER_RESTART_POLICY = "no" },
    }
    assert.equal(75, r.code)
    assert.equal("disk_space", failures(r.err)[1].check)
  end)

  it("shows a flow's own settings, and what it misses", function()
    local r = run { args = { "config", "--json", "--flow-name", "rpa1" }, env = { CONTAINER_RPA1_BATCH_SIZE = "0" } }
    assert.equal(78, r.code)
    local all = cjson.decode(r.out)
    assert.equal("0", by_name(all.settings).CONTAINER_RPA1_BATCH_SIZE.value)
    assert.equal(false, by_name(all.settings).CONTAINER_RPA1_BATCH_SIZE.own)
    assert.matches("from 1 to", by_name(all.failures).CONTAINER_RPA1_BATCH_SIZE.allowed)
    assert.equal("environment", by_name(all.failures).CONTAINER_RPA_DB_CONNECTION_STRING.check)
  end)
end)
