-- deploy/compose: the file itself, checked key by key (no compose is at hand here), and its services, run by what it says.
local box = require "box"
local cjson = require "cjson"
local h = require "harness"
local lfs = require "lfs"
local postgres = require "postgres"

local DIR = "deploy/compose/"
local FLOWS = { "rpa1", "rpa2", "rpa3" }

local YAML = [[
import json, sys, yaml
class Loader(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        self.flatten_mapping(node)
        return super().construct_mapping(node, deep)
def unique(loader, node, deep=False):
    seen = set()
    for key, _ in node.value:
        if key.value != "<<" and key.value in seen:
            raise SystemExit("key given twice: " + key.value)
        seen.add(key.value)
    return loader.construct_mapping(node, deep)
Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique)
json.dump(yaml.load(open(sys.argv[1]), Loader), sys.stdout)
]]

local function read_yaml(path)
  local p = assert(h.start { argv = { "/usr/bin/python3", "-c", YAML, path } })
  local code = p:wait()
  if p.err:find("No module named 'yaml'", 1, true) then h.skip "python3-yaml is not installed" end
  assert.equal(0, code, p.err)
  return cjson.decode(p.out)
end

local function compose()
  return read_yaml(DIR .. "compose.yaml")
end

local function strings(list)
  local set = {}
  for _, v in ipairs(list) do set[v] = true end
  return set
end

-- What a service may say, of the compose specification: what is used, and how it looks.
local duration = function(v) return type(v) == "string" and v:find "^%d+s$" end
local text = function(v) return type(v) == "string" end
local texts = function(v)
  for _, t in ipairs(v) do if type(t) ~= "string" then return false end end
  return #v > 0
end
local SERVICE = {
  image = text, restart = function(v) return strings { "no", "always", "on-failure", "unless-stopped" }[v] end, stop_grace_period = duration,
  read_only = function(v) return v == true end, tmpfs = texts, cap_drop = texts, security_opt = texts, secrets = texts, volumes = texts, ports = texts,
  pids_limit = function(v) return math.type(v) ~= nil and v > 0 end, cpus = function(v) return type(v) == "number" and v > 0 end,
  mem_limit = function(v) return tostring(v):find "^%d+m$" end,
  build = function(v) return h.exists(DIR .. v.context .. "/Dockerfile") and h.read("Dockerfile"):find("AS " .. v.target .. "\n", 1, true) end,
  environment = function(v)
    for _, value in pairs(v) do if type(value) == "table" then return false end end
    return next(v) ~= nil
  end,
  healthcheck = function(v)
    return v.test[1] == "CMD" and #v.test > 1 and duration(v.interval) and duration(v.timeout) and (not v.start_period or duration(v.start_period))
      and math.type(math.tointeger(v.retries)) == "integer"
  end,
}

describe("compose.yaml", function()
  it("has only keys that compose knows, and all that it names", function()
    local file = compose()
    for key in pairs(file) do assert.truthy(strings { "name", "services", "volumes", "secrets" }[key] or key:find "^x%-", key) end
    local volumes = {}
    for name, service in pairs(file.services) do
      for key, value in pairs(service) do
        assert.truthy(SERVICE[key], name .. "." .. key)
        assert.truthy(SERVICE[key](value), name .. "." .. key)
      end
      for _, key in ipairs { "image", "stop_grace_period", "healthcheck", "restart" } do assert.truthy(service[key], name .. "." .. key) end
      for _, volume in ipairs(service.volumes or {}) do
        local from, to = volume:match "^([^:]+):(/[^:]+)"
        assert.truthy(to, volume)
        if from:find "^%." then assert.is_true(h.exists(DIR .. from), from) else volumes[from] = true end
      end
      for _, secret in ipairs(service.secrets or {}) do assert.truthy(file.secrets[secret], secret) end
    end
    for name in pairs(volumes) do assert.truthy(file.volumes[name], name) end
    for name in pairs(file.volumes) do assert.is_true(volumes[name], name .. " is not used") end
  end)

  it("gives each flow what it needs, and time to stop", function()
    local file = compose()
    for _, name in ipairs(FLOWS) do
      local service = file.services[name]
      assert.equal(name, service.environment.CONTAINER_FLOW_NAME)
      local env = {}
      for key, value in pairs(service.environment) do
        if math.type(value) == "float" and math.tointeger(value) then value = math.tointeger(value) end
        env[key] = tostring(value)
      end
      local dir = h.tempdir()
      h.write(dir .. "/db", "postgresql://tend@postgres/rpa")
      env.CONTAINER_RPA_DB_CONNECTION_STRING_FILE = dir .. "/db"
      local code, out, err = h.run { args = { "config", "--json" }, env = env, bare = true }
      assert.equal(0, code, err)
      assert.equal("", err) -- no warning about a name
      local settings = {}
      for _, s in ipairs(cjson.decode(out).settings or cjson.decode(out)) do settings[s.name] = s.value end
      assert.is_true(tonumber(service.mem_limit:match "%d+") >= tonumber(settings.CONTAINER_MAX_MEMORY_MB))
      assert.is_true(service.cpus * 100 >= tonumber(settings.CONTAINER_MAX_CPU_PERCENT))
      assert.is_true(tonumber(service.stop_grace_period:match "%d+") > 25)
      assert.is_true(service.read_only)
      assert.same({ "ALL" }, service.cap_drop)
    end
  end)

  it("makes its secrets once, and nobody else reads the folder", function()
    local dir = h.tempdir() .. "/secrets"
    local file = compose()
    local out, code = h.sh(DIR .. "secrets.sh " .. dir)
    assert.equal(0, code, out)
    local uri, password = h.read(dir .. "/rpa_db"), h.read(dir .. "/postgres_password")
    local user, secret, host, database = uri:match "^postgresql://(%w+):(%x+)@(%w+)/(%w+)\n$"
    assert.equal(password, secret .. "\n")
    assert.is_true(#secret >= 32)
    assert.truthy(file.services[host])
    assert.equal(file.services[host].environment.POSTGRES_USER, user)
    assert.equal(file.services[host].environment.POSTGRES_DB, database)
    assert.equal("rwx------", lfs.attributes(dir, "permissions"))
    h.sh(DIR .. "secrets.sh " .. dir)
    assert.equal(uri, h.read(dir .. "/rpa_db"))
    for name, s in pairs(file.secrets) do
      assert.equal("./secrets/" .. name, s.file)
      assert.is_true(h.exists(dir .. "/" .. name))
    end
    assert.truthy(h.read ".gitignore":find("deploy/compose/secrets/", 1, true))
  end)

  it("has Prometheus scrape every flow", function()
    local file = compose()
    local targets = strings(read_yaml(DIR .. "prometheus.yml").scrape_configs[1].static_configs[1].targets)
    for _, name in ipairs(FLOWS) do assert.is_true(targets[name .. ":9464"], name) end
    -- all that is mounted, as it then lies
    local dir = h.tempdir()
    for _, volume in ipairs(file.services.prometheus.volumes) do
      local from, name = volume:match "^(%..-):/etc/prometheus/([^:]+):ro$"
      if from then h.write(dir .. "/" .. name, h.read(DIR .. from)) end
    end
    assert.is_true(h.exists(dir .. "/prometheus.yml"))
    local out, code = h.sh("promtool check config " .. dir .. "/prometheus.yml")
    if code == 127 then return pending "promtool is not installed" end
    assert.equal(0, code, out)
  end)
end)

-- The options of podman run that say what the service says; volumes become folders of dir, which hold `secrets` too.
local function options_of(service, dir)
  local options = { "--read-only-tmpfs=false", "--memory", service.mem_limit, "--cpus", tostring(service.cpus), "--pids-limit",
    tostring(math.tointeger(service.pids_limit)) }
  local function add(...) for _, w in ipairs { ... } do options[#options + 1] = w end end
  if service.read_only then add "--read-only" end
  for _, mount in ipairs(service.tmpfs or {}) do add("--tmpfs", mount) end
  for _, cap in ipairs(service.cap_drop) do add("--cap-drop", cap) end
  for _, opt in ipairs(service.security_opt) do add("--security-opt", opt) end
  for _, volume in ipairs(service.volumes) do
    local from, to = volume:match "^([^:]+):(.+)$"
    lfs.mkdir(dir .. "/" .. from)
    h.native.chown(dir .. "/" .. from, 10001, 10001)
    add("-v", dir .. "/" .. from .. ":" .. to)
  end
  for _, secret in ipairs(service.secrets) do add("-v", dir .. "/secrets/" .. secret .. ":/run/secrets/" .. secret .. ":ro") end
  return options
end

describe("the services", function()
  it("run as the file says, do work, are scraped, and stop in time", function()
    local file = compose()
    local reason = box.get() and postgres.missing()
    if reason then h.skip(reason) end
    if tonumber((h.sh "nproc")) < file.services.rpa3.environment.CONTAINER_RPA3_CONCURRENT_WORKERS then h.skip "too few CPUs for rpa3" end
    local db = postgres.start()
    local dir = h.tempdir()
    h.sh("chmod 755 " .. dir)
    lfs.mkdir(dir .. "/secrets")
    h.write(dir .. "/secrets/rpa_db", db:uri { host = "postgres" })
    h.sh("chmod 644 " .. dir .. "/secrets/rpa_db")
    local running, ports = {}, {}
    for _, name in ipairs(FLOWS) do
      local service = file.services[name]
      local options = options_of(service, dir)
      table.move({ "--network", "host", "--add-host", "postgres:127.0.0.1" }, 1, 4, #options + 1, options)
      local env = {}
      for key, value in pairs(service.environment) do env[key] = tostring(math.tointeger(value) or value) end
      ports[name] = h.free_port()
      env.CONTAINER_HTTP_ADDRESS, env.CONTAINER_MIN_FREE_DISK_MB = "127.0.0.1:" .. ports[name], "1"
      env.CONTAINER_EXECUTION_INTERVAL = "1s"
      running[name] = box.run { bare = true, options = options, env = env }
    end
    for _, name in ipairs(FLOWS) do
      local c = running[name]
      assert.equal(name .. "-worker-1", c:wait_event("startup_completed", { deadline = 30 }).container_id)
      assert.equal(0, (box.podman { "healthcheck", "run", c.name }))
      assert.equal(0, #c:events "restart_initiated", c.out)
    end

    h.write(dir .. "/rpa1-input/orders.csv", "id,quantity,unit_price\n1,2,3.50\n2,1,1.00\n")
    h.sh(("touch -d '1 minute ago' %s/rpa1-input/orders.csv"):format(dir))
    local done = dir .. "/rpa1-output/rpa1/orders.csv"
    h.wait_for(function() return h.exists(done) end, 30, done)
    assert.truthy(h.read(done):find("7.00", 1, true))
    db:sql [[insert into rpa2_records (payload) values ('{"id": "A-1", "quantity": 2}')]]
    db:sql [[insert into rpa3_queue (payload) values ('{"order": "A-1", "quantity": 2}')]]
    h.wait_for(function()
      return db:sql "select state from rpa2_records" == "valid" and db:sql "select state from rpa3_queue" == "done"
    end, 30, "rpa2 and rpa3")

    local config = h.read(DIR .. "prometheus.yml"):gsub("scrape_interval: 15s", "scrape_interval: 1s")
    for _, name in ipairs(FLOWS) do config = config:gsub(name .. ":9464", "127.0.0.1:" .. ports[name]) end
    config = config:gsub("tend.rules.yml", h.top .. "/deploy/prometheus/tend.rules.yml")
    if select(2, h.sh "command -v prometheus") == 0 then
      h.write(dir .. "/prometheus.yml", config)
      local port = h.free_port()
      local p = assert(h.start { argv = { "/usr/bin/prometheus", "--config.file=" .. dir .. "/prometheus.yml", "--storage.tsdb.path=" .. dir .. "/tsdb",
        "--web.listen-address=127.0.0.1:" .. port } })
      h.wait_for(function()
        local out = h.sh(("promtool query instant http://127.0.0.1:%d 'sum(up) + count(tend_uptime_seconds)'"):format(port))
        return out:find "=> 6 @"
      end, 40, "six series in Prometheus")
      p:kill "TERM"
    end

    for _, name in ipairs(FLOWS) do
      local code, seconds = running[name]:stop(30)
      assert.equal(0, code)
      assert.is_true(seconds < 26, name)
      assert.equal(0, running[name]:wait())
      assert.is_true(running[name]:wait_event("shutdown_completed").details.graceful)
      assert.is_true(h.exists(("%s/%s-logs/%s_lifecycle_metrics.json"):format(dir, name, name)))
    end
  end)
end)
