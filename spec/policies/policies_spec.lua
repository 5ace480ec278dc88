package.path = "./?.lua;" .. package.path
local support = require "spec.policies.support"

describe("policies.check", function()
  local check = require "policies.check"

  it("takes a URL apart", function()
    local rows = {
      { "http://prefect-server:4200/api", "prefect-server", 4200 },
      { "http://host", "host", 80 },
      { "HTTPS://host/x?y", "host", 443 },
      { "http://user:pw@host:81", "host", 81 },
      { "http://[::1]:8080/", "::1", 8080 },
      { "http://[fe80::2]/", "fe80::2", 80 },
    }
    for _, row in ipairs(rows) do
      local host, port = check.host_port(row[1])
      assert.same({ row[2], row[3] }, { host, port })
    end
    for _, url in ipairs { "", "host:80", "ftp://host", "http://", "http://host:0", "http://host:99999", "http://a:b:c" } do
      assert.is_nil((check.host_port(url)), url)
    end
  end)

  it("makes names of paths", function()
    assert.equal("app_data_input", check.slug "/app/data/input/")
    assert.is_true(#check.slug(("/x"):rep(100)) <= 40)
  end)
end)

describe("a name that a policy does not have", function()
  it("is a mistake at the flow's line, with the nearest one that it has", function()
    for name, case in pairs {
      directory = { "readible", 'policies.directory has no "readible"; did you mean "readable"?' },
      resources = { "space", 'policies.resources has no "space"' },
    } do
      local policy = support.load("policies." .. name)
      local ok, why = pcall(function() return policy[case[1]] {} end)
      assert.is_false(ok)
      assert.matches("^[^:]*policies_spec%.lua:%d+: ", why)
      assert.equal(case[2], (why:gsub("^.-:%d+: ", "")))
    end
  end)
end)

describe("policies.database", function()
  local database

  before_each(function()
    support.settings { CONTAINER_DATABASE_ARCHIVE_TIMEOUT = 30, CONTAINER_DATABASE_ARCHIVE_HEALTH_QUERY = "SELECT 2" }
    database = support.load "policies.database"
  end)

  it("asks for the RPA database, required, for as long as the settings say", function()
    local d = database.rpa()
    assert.equal("rpa_database", d.name)
    assert.equal("postgres", d.kind)
    assert.is_true(d.required)
    assert.is_nil(d.timeout)
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", d.params.setting)
    assert.same({ "CONTAINER_RPA_DB_CONNECTION_STRING" }, d.requires)
  end)

  it("takes options", function()
    local d = database.rpa { required = false, timeout = "10s", interval = 1, writable = true, name = "db" }
    assert.same({ false, "10s", 1, true, "db" }, { d.required, d.timeout, d.interval, d.params.writable, d.name })
  end)

  it("asks for a database by name with its settings", function()
    local d = database.named "archive"
    assert.equal("archive_database", d.name)
    assert.equal("CONTAINER_DATABASE_ARCHIVE_CONNECTION_STRING", d.params.setting)
    assert.equal("SELECT 2", d.params.query)
    assert.equal(30, d.timeout)
  end)

  it("names what is wrong, at the caller's line", function()
    local here = "policies_spec.lua:"
    for _, row in ipairs {
      { "database%.rpa%.timout: unknown option; did you mean \"timeout\"", function() database.rpa { timout = 3 } end },
      { "database%.rpa%.timeout: expected seconds.*got a table", function() database.rpa { timeout = {} } end },
      { "database%.rpa: expected a table of options, got \"x\"", function() database.rpa "x" end },
      { "database%.named: expected text that is not empty, got nothing", function() database.named() end },
      { "database%.named: expected a name of letters", function() database.named "a b" end },
      { "database%.health%.failures: expected a whole number", function() database.health { failures = "3" } end },
    } do
      local message = support.raised(row[2])
      assert.matches(row[1], message)
      assert.matches(here, message, 1, true)
    end
  end)

  it("gives a health check", function()
    local c = database.health { failures = 2 }
    assert.equal("postgres", c.kind)
    assert.equal(2, c.failures)
    assert.is_nil(c.required)
  end)
end)

describe("policies.directory", function()
  local directory = require "policies.directory"

  it("gives dependencies on directories", function()
    local d = directory.readable { path = "/in", timeout = 5 }
    assert.same({ "readable_in", "directory", true, "/in", 5 }, { d.name, d.kind, d.required, d.params.path, d.timeout })
    assert.is_nil(d.params.writable)
    assert.is_true(directory.writable({ path = "/out" }).params.writable)
  end)

  it("gives cleanup handlers", function()
    local s = directory.sync "/out"
    assert.same({ "sync_out", "sync", "/out" }, { s.name, s.kind, s.params.path })
    local t = directory.remove_temporary { path = "/out", pattern = { "*.a", "*.b" }, older_than_s = 5, name = "t" }
    assert.same({ "t", "remove_temporary", 5 }, { t.name, t.kind, t.params.older_than_s })
    assert.equal("rotate_logs", directory.rotate_logs("/logs").kind)
    local c = directory.close_files { path = "/out", critical = true, wait_s = 1 }
    assert.same({ "close_files", true, 1 }, { c.kind, c.critical, c.params.wait_s })
  end)

  it("names what is wrong", function()
    assert.matches("directory%.readable%.path: missing", support.raised(directory.readable, {}))
    assert.matches("directory%.sync: expected a path", support.raised(directory.sync))
    assert.matches("directory%.rotate_logs%.kep: unknown option", support.raised(directory.rotate_logs, { path = "/l", kep = 1 }))
    assert.matches("directory%.remove_temporary%.path: expected text", support.raised(directory.remove_temporary, { path = "" }))
  end)

  it("leaves the caller's options as they are", function()
    local options = { path = "/out" }
    directory.readable(options)
    assert.same({ path = "/out" }, options)
  end)
end)

describe("policies.service", function()
  local service = require "policies.service"

  it("gives dependencies on services", function()
    local d = service.tcp { name = "cache", host = "redis", port = 6379, required = false }
    assert.same({ "cache", "tcp", false, "redis", 6379 }, { d.name, d.kind, d.required, d.params.host, d.params.port })
    assert.same({ host = "h", port = 8080 }, service.url({ name = "v", url = "http://h:8080/validate" }).params)
    assert.equal("dns", service.name({ name = "n", host = "h" }).kind)
    d = service.http { name = "api", url = "https://h/ready", status = { 200, "3xx" }, json = { ok = true }, timeout = 5 }
    assert.same({ "http", 5, true }, { d.kind, d.timeout, d.required })
    assert.same({ url = "https://h/ready", status = { 200, "3xx" }, json = { ok = true } }, d.params)
    assert.equal("h:443 answers by HTTP", d.description)
  end)

  it("names what is wrong", function()
    assert.matches("service%.tcp%.port: expected a port from 1 to 65535, got 0",
      support.raised(service.tcp, { name = "c", host = "h", port = 0 }))
    assert.matches("service%.tcp%.name: missing", support.raised(service.tcp, { host = "h", port = 1 }))
    assert.matches("service%.http%.staus: unknown option", support.raised(service.http, { name = "c", url = "http://h/", staus = 1 }))
    assert.matches("service%.http%.url: expected a URL", support.raised(service.http, { name = "c", url = "h:80" }))
    assert.matches("service%.url%.url: expected a URL", support.raised(service.url, { name = "c", url = "h:80" }))
  end)
end)

describe("policies.resources", function()
  local resources = require "policies.resources"

  it("gives a dependency on what must be there", function()
    local d = resources.available { cpus = 4, memory_mb = 512 }
    assert.same({ "resources", "resource", true, 5, "4 CPUs, 512 MB of memory" },
      { d.name, d.kind, d.required, d.timeout, d.description })
    assert.same({ cpus = 4, memory_mb = 512 }, d.params)
    d = resources.available { name = "space", disk_mb = 100, path = "/data", required = false }
    assert.same({ "space", false, { disk_mb = 100, path = "/data" } }, { d.name, d.required, d.params })
  end)

  it("names what is wrong", function()
    assert.matches("resources%.available: expected cpus, memory_mb", support.raised(resources.available, {}))
    assert.matches("resources%.available%.cpus: expected a whole number of 1 or more, got 0",
      support.raised(resources.available, { cpus = 0 }))
    assert.matches("resources%.available%.cpu: unknown option; did you mean \"cpus\"", support.raised(resources.available, { cpu = 1 }))
  end)
end)

describe("optional services", function()
  it("are left out, with the reason, where no address is given", function()
    support.settings {}
    local p = support.load("policies.prefect").server()
    assert.matches("CONTAINER_PREFECT_API_URL", p.skip)
    assert.is_false(p.required)
    local s = support.load("policies.surveyhub").host()
    assert.matches("CONTAINER_DATABASE_SURVEY_HUB_HOST", s.skip)
  end)

  it("are asked where one is given", function()
    support.settings { CONTAINER_PREFECT_SERVER_URL = "http://prefect:4200", CONTAINER_DATABASE_SURVEY_HUB_HOST = "hub" }
    local p = support.load("policies.prefect").server()
    assert.is_nil(p.skip)
    assert.equal("function", type(p.check))
    local s = support.load("policies.surveyhub").host()
    assert.same({ "dns", "hub" }, { s.kind, s.params.host })
  end)

  it("ask the port of the survey hub where it is given, and the API before the server", function()
    support.settings {
      CONTAINER_DATABASE_SURVEY_HUB_HOST = "hub", CONTAINER_DATABASE_SURVEY_HUB_PORT = 5432,
      CONTAINER_PREFECT_API_URL = "https://api/api", CONTAINER_PREFECT_SERVER_URL = "http://server:4200",
    }
    assert.same({ host = "hub", port = 5432 }, support.load("policies.surveyhub").host().params)
  end)

  it("ask Prefect whether it is ready, and then whether it is healthy", function()
    local asked, answers
    _G.probe = {
      http = function(params)
        asked[#asked + 1] = params
        return answers[#asked]
      end,
    }
    local good, bad = { ok = true, status = "ok" }, { ok = false, status = "fail", reason = "status" }
    for url, name in pairs {
      ["http://p:4200/api/"] = "CONTAINER_PREFECT_API_URL", ["http://p:4200/api"] = "CONTAINER_PREFECT_API_URL",
      ["http://p:4200"] = "CONTAINER_PREFECT_SERVER_URL", ["http://p:4200/"] = "CONTAINER_PREFECT_SERVER_URL",
    } do
      asked, answers = {}, { good, good }
      support.settings { [name] = url }
      assert.equal(good, support.load("policies.prefect").server().check())
      assert.same({ "http://p:4200/api/ready", "http://p:4200/api/health" }, { asked[1].url, asked[2].url })
      assert.equal("true", asked[2].equals)
    end
    asked, answers = {}, { bad }
    assert.equal(bad, support.load("policies.prefect").server().check())
    assert.equal(1, #asked)
    support.settings { CONTAINER_PREFECT_API_URL = "https://api/api", CONTAINER_PREFECT_SERVER_URL = "http://server:4200" }
    asked, answers = {}, { good, good }
    support.load("policies.prefect").server().check()
    assert.equal("https://api/api/ready", asked[1].url)
    _G.probe = nil
  end)

  it("refuse a URL that is none, naming the setting", function()
    support.settings { CONTAINER_PREFECT_API_URL = "prefect:4200" }
    assert.matches("CONTAINER_PREFECT_API_URL: expected a URL", support.raised(support.load("policies.prefect").server))
  end)
end)

describe("policies.ladder", function()
  local ladder

  before_each(function() ladder = support.load "policies.ladder" end)

  local function names(list)
    local out = {}
    for i, step in ipairs(list) do out[i] = step.name end
    return table.concat(out, " ")
  end

  it("memory: collects, clears caches, signals, slows, then restarts, then fails", function()
    local r = ladder.memory { check = "memory", caches = print, signal = "USR1", process = "web", max = 2, cooldown = 5 }
    assert.same({ "memory", "memory", 2, 5 }, { r.name, r.check, r.max, r.cooldown })
    assert.equal("collect caches signal slow_checks", names(r.steps))
    assert.equal(print, r.steps[2].run)
    assert.same({ process = "web", signal = "USR1" }, r.steps[3].params)
    assert.equal("restart fail", names(r.escalate))
    assert.equal("web", r.escalate[1].params.process)
    assert.equal("collect slow_checks", names(ladder.memory({ check = "memory" }).steps))
    local files = ladder.memory { check = "m", caches = { path = "/c", older_than_s = 60, max_mb = 5 } }
    assert.same({ path = "/c", older_than_s = 60, max_mb = 5 }, files.steps[2].params)
    assert.equal("remove_temporary", files.steps[2].kind)
  end)

  it("disk: files by folder, pattern and age, logs; nothing after them", function()
    local r = ladder.disk { check = { "a", "b" }, logs = "/l", clear = print,
                            temporary = { { path = "/x", older_than_s = 1 }, { path = "/y", pattern = "*.t", older_than_s = 2 } } }
    assert.equal("temporary_files_1 temporary_files_2 rotate_logs clear", names(r.steps))
    assert.same({ path = "/y", pattern = "*.t", older_than_s = 2 }, r.steps[2].params)
    assert.same({ path = "/l" }, r.steps[3].params)
    assert.same({}, r.escalate)
    local one = ladder.disk { temporary = { path = "/x", older_than_s = 1 }, logs = { path = "/l", keep = 1 }, escalate = { "fail" } }
    assert.equal("temporary_files rotate_logs", names(one.steps))
    assert.same({ path = "/l", keep = 1 }, one.steps[2].params)
    assert.equal("fail", names(one.escalate))
  end)

  it("database: the pool is made anew", function()
    local r = ladder.database { check = "rpa_database", database = "archive" }
    assert.same({ "reset", "reset_database", "archive" }, { r.steps[1].name, r.steps[1].kind, r.steps[1].params.database })
    assert.same({}, r.escalate)
  end)

  it("pressure: checks run less often", function()
    local r = ladder.pressure { check = "cpu_pressure", factor = 8, for_s = 60 }
    assert.same({ "pressure", "slow_checks", 8, 60 }, { r.name, r.steps[1].kind, r.steps[1].params.factor, r.steps[1].params.for_s })
  end)

  it("any step is replaced, filled in or taken out by its name", function()
    local mine = { kind = "command", params = { command = { "true" } } }
    local r = ladder.memory { check = "m", steps = { collect = false, caches = print, slow_checks = mine } }
    assert.equal("caches slow_checks", names(r.steps))
    assert.equal(print, r.steps[1].run)
    assert.same({ "slow_checks", "command" }, { r.steps[2].name, r.steps[2].kind })
    assert.is_nil(mine.name)
    assert.equal("own fail", names(ladder.memory({ check = "m", escalate = { { name = "own", run = print }, "fail" } }).escalate))
  end)

  it("what makes no sense raises, and names it", function()
    local cases = {
      { "ladder.memory%.chekc: unknown option; did you mean \"check\"", ladder.memory, { chekc = "m" } },
      { "ladder.memory%.steps%.colect: no such step; there are collect, caches, signal, slow_checks", ladder.memory, { steps = { colect = false } } },
      { "ladder.memory%.steps%.collect: expected false, a function or a step, got number", ladder.memory, { steps = { collect = 3 } } },
      { "ladder.disk: no step is left", ladder.disk, {} },
      { "ladder.disk%.temporary: expected path and older_than_s", ladder.disk, { temporary = { path = "/x" } } },
      { 'ladder.database%.escalate%[1%]: expected "restart", "fail" or a step, got "reboot"', ladder.database, { escalate = { "reboot" } } },
      { "ladder.database%.max: expected a whole number", ladder.database, { max = 0 } },
      { "ladder.database: expected a table of options", ladder.database, nil },
    }
    for _, case in ipairs(cases) do assert.matches(case[1], support.raised(case[2], case[3])) end
  end)
end)

describe("policies.scale", function()
  local scale

  before_each(function() scale = support.load "policies.scale" end)

  it("so many instances that each has its share", function()
    local waiting, reason = 250, nil
    local s = scale.by_backlog { max = 8, min = 2, per_instance = 100, cooldown = "10s", backlog = function() return waiting, reason end }
    assert.same({ 2, 8, "10s" }, { s.min, s.max, s.cooldown })
    assert.equal(2.5, s.measure {})
    waiting, reason = nil, "no table"
    assert.same({ nil, "no table" }, { s.measure {} })
    assert.matches("per_instance: expected a number above 0", support.raised(scale.by_backlog, { max = 1, per_instance = 0, backlog = print }))
    assert.matches("scale.by_backlog%.backlog: missing", support.raised(scale.by_backlog, { max = 1, per_instance = 1 }))
  end)
end)
