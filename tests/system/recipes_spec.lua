-- docs/recipes.md: each recipe is run, as it stands there but for times. A recipe without a test here is red.
local cjson = require "cjson"
local h = require "harness"
local http = require "endpoint"
local pages = require "pages"
local postgres = require "postgres"
local tend = require "testing"
local web = require "web"

local PAGE = "docs/recipes.md"

-- The page's sections: by title the blocks below it.
local titles, recipes = {}, {}
do
  local lines, starts = {}, {}
  for line in (h.read(PAGE) .. "\n"):gmatch "([^\n]*)\n" do
    lines[#lines + 1] = line
    local title = line:match "^## (.*)"
    if title then
      starts[#starts + 1] = { line = #lines, title = title }
      titles[#titles + 1] = title
      recipes[title] = {}
    end
  end
  for _, block in ipairs(pages.blocks(PAGE)) do
    local title
    for _, s in ipairs(starts) do if s.line < block.line then title = s.title end end
    table.insert(recipes[title], block)
  end
end

local tested = {}

-- A test of a recipe; fn gets a folder that has its flow (`edit` may change the text, but must find something), and its name.
local function recipe(title, fn)
  tested[title] = true
  it(title, function()
    local blocks = assert(recipes[title], title .. " is no longer on the page")
    local dir, name = h.tempdir(), nil
    for _, block in ipairs(blocks) do
      local file = block.file and block.file:match "^flows/(.*)%.lua$"
      if file then
        name = name or file
        h.sh("mkdir -p " .. h.quote((dir .. "/" .. block.file):match "^(.*)/"))
        h.write(dir .. "/" .. block.file, (block.text:gsub("%f[%w/]/tmp/", dir .. "/tmp/")))
      end
    end
    h.sh("mkdir " .. dir .. "/tmp")
    local r = { dir = dir, tmp = dir .. "/tmp/", name = name, flows = dir .. "/flows" }

    function r.edit(...)
      local path = ("%s/%s.lua"):format(r.flows, name)
      local text = h.read(path)
      for _, pair in ipairs { ... } do
        local changed, n = text:gsub(pair[1]:gsub("%p", "%%%0"), (pair[2]:gsub("%%", "%%%%")))
        assert.is_true(n > 0, title .. ": no " .. pair[1])
        text = changed
      end
      h.write(path, text)
    end

    function r.run(env, spawn)
      local all = { CONTAINER_FLOWS_DIR = r.flows }
      for k, v in pairs(env or {}) do all[k] = v end
      return (spawn or h.spawn) { args = { "run", "--flow-name", name }, env = all }
    end

    function r.ask(p, ...)
      local code, out, err = h.ask(p, ...)
      return out, code, err
    end

    fn(r)
  end)
end

local function stop(p, code)
  p:kill "TERM"
  assert.equal(code or 0, (p:wait()))
end

local function status(p)
  return cjson.decode((select(2, h.ask(p, "status", "--json"))))
end

describe("the recipe", function()
  recipe("Wait for Prefect", function(r)
    if web.missing() then return pending(web.missing()) end
    local s = web.start()
    s:tell "/prefect/down"
    r.edit { 'timeout = "5m"', 'timeout = "5m", interval = 0.1' }
    local p = r.run { CONTAINER_PREFECT_API_URL = s:url "/api" }
    p:wait_event "dependency_waiting"
    s:tell "/prefect/up"
    p:wait_event "startup_completed"
    stop(p)
  end)

  recipe("Wait for a second database", function(r)
    local code, _, err = h.run { args = { "run", "--flow-name", r.name, "--flows", r.flows } }
    assert.equal(78, code)
    assert.matches("CONTAINER_DATABASE_ARCHIVE_CONNECTION_STRING", err, 1, true)
    if postgres.missing() then return pending(postgres.missing()) end
    local db = postgres.start()
    local p = r.run { CONTAINER_DATABASE_ARCHIVE_CONNECTION_STRING_FILE = h.write(r.tmp .. "archive", db:uri()) }
    assert.equal("archive_database", p:wait_event("dependency_ready").details.name)
    p:wait_event("health_check_passed", { where = function(e) return e.details.check == "archive" end })
    stop(p)
  end)

  recipe("Start when a file is there", function(r)
    r.edit { "interval = 1", "interval = 0.05" }
    local p = r.run()
    assert.equal("gate", p:wait_event("dependency_waiting").details.name)
    h.write(r.tmp .. "go", "")
    p:wait_event "startup_completed"
    stop(p)
  end)

  recipe("A check in Lua", function(r)
    h.sh("mkdir " .. r.tmp .. "deliveries")
    h.write(r.tmp .. "deliveries/a.csv", "")
    local p = r.run()
    p:wait_event "startup_completed"
    local out, code = r.ask(p, "check-now", "deliveries")
    assert.equal(0, code, out)
    h.sh("touch -d '3 hours ago' " .. r.tmp .. "deliveries/a.csv")
    out, code = r.ask(p, "check-now", "deliveries")
    assert.equal(1, code, out)
    assert.matches("nothing has come since 20", out, 1, true)
    h.sh("rm -r " .. r.tmp .. "deliveries")
    assert.matches("unknown", (r.ask(p, "check-now", "deliveries")), 1, true)
    stop(p)
  end)

  recipe("As many workers as there is work", function(r)
    h.sh(("mkdir %sto-sort; cd %sto-sort; touch $(seq 120)"):format(r.tmp, r.tmp))
    r.edit { 'interval = "10s"', "interval = 0.1" }
    local p = r.run()
    p:wait_event "startup_completed"
    h.wait_for(function()
      local up = 0
      for _, process in ipairs(status(p).processes) do if process.name == "worker" and process.state == "up" then up = up + 1 end end
      return up == 3
    end, 10, "three workers")
    stop(p)
  end)

  recipe("Tell a chat of failures", function(r)
    if web.missing() then return pending(web.missing()) end
    local s = web.start()
    local p = r.run { ["CONTAINER_TOLD_WEBHOOK"] = s:url "/echo", CONTAINER_WORKER_ID = "w-7" }
    h.wait_for(function() return #s:requests() > 0 end, 10, "the webhook's call")
    local said = cjson.decode(s:requests()[1].body).text
    assert.matches("w-7: health_check_failed {", said, 1, true)
    assert.matches('"flag"', said, 1, true)
    stop(p)
    assert.is_nil((p.out .. p.err):find("127.0.0.1:" .. s.port .. "/echo", 1, true)) -- it is a secret
  end)

  recipe("Remove old files every night", function(r)
    h.sh(("mkdir %sexports; cd %sexports; touch new.csv old.log; touch -d '8 days ago' old.csv old.log"):format(r.tmp, r.tmp))
    local p = r.run()
    p:wait_event "startup_completed"
    local _, code = r.ask(p, "remediate", "tidy", "--dry-run")
    assert.equal(0, code)
    assert.is_true(h.exists(r.tmp .. "exports/old.csv"))
    stop(p)
    r.edit { "15 2 * * *", "* * * * * *" } -- each second
    p = r.run()
    h.wait_for(function() return not h.exists(r.tmp .. "exports/old.csv") end, 10, "the removal")
    assert.is_true(h.exists(r.tmp .. "exports/new.csv") and h.exists(r.tmp .. "exports/old.log"))
    stop(p)
  end)

  recipe("Restart at night", function(r)
    r.edit { "30 3 * * mon-sat", "* * * * * *" }
    local p = r.run()
    p:wait_event("process_started", { nth = 2 })
    assert.equal("operator", p:wait_event("restart_initiated").details.cause)
    stop(p)
  end)

  recipe("A maintenance window", function(r)
    r.edit { "0 22 * * sat", "* * * * * *" }
    local p = r.run()
    p:wait_event "maintenance"
    assert.matches("maintenance", (r.ask(p, "status")), 1, true)
    assert.equal(0, select(2, r.ask(p, "maintenance", "off")))
    stop(p)
  end)

  recipe("A process beside the main one", function(r)
    local p = r.run()
    p:wait_event "startup_completed"
    local order = {}
    for i, e in ipairs(p:events "process_started") do order[i] = e.details.process end
    assert.same({ "proxy", "main" }, order)
    h.native.kill(p:events("process_started")[1].details.pid, h.signals.KILL)
    p:wait_event("process_started", { nth = 3 })
    assert.equal("RUNNING", status(p).state)
    assert.equal(1, #p:events("process_exited"))
    stop(p)
    local ends = {}
    for i, e in ipairs(p:events "process_exited") do ends[i] = e.details.process end
    assert.same({ "proxy", "main", "proxy" }, ends)
  end)

  recipe("Let a server finish what it does", function(r)
    r.edit { "SHUTDOWN_DRAIN_SECONDS = 10", "SHUTDOWN_DRAIN_SECONDS = 2" }
    local p = r.run(nil, http.spawn)
    p:wait_event "startup_completed"
    assert.equal(200, http.get(p, "/readyz").status)
    p:kill "TERM"
    p:wait_line "nothing new from here on"
    h.wait_for(function() return http.get(p, "/readyz").status == 503 end)
    assert.equal(0, #p:events "process_exited") -- it goes on meanwhile
    assert.equal(0, (p:wait()))
    assert.equal("INT", p:events("process_exited")[1].details.signal)
  end)

  recipe("Some failures are final", function(r)
    local p = r.run()
    assert.equal(78, (p:wait()))
    assert.equal(0, #p:events "restart_initiated")
    local run = tend.simulate(r.name, { lasts = "10m", processes = { main = { { runs = 5, signal = "SEGV" } } } },
      { settings = { CONTAINER_FLOWS_DIR = r.flows } })
    assert.equal("RUNNING", run.state)
    assert.equal(1, run.restarts)
  end)

  recipe("Restart what hangs", function(r)
    r.edit({ "max_age = 60, interval = 10", "max_age = 1, interval = 0.2" })
    local p = r.run { CONTAINER_RESTART_DELAY_SECONDS = "0" }
    assert.equal("check", p:wait_event("restart_initiated").details.reason)
    p:wait_event("process_started", { nth = 2 })
    stop(p)
  end)

  recipe("A number of your own", function(r)
    h.sh(("mkdir %sorders; cd %sorders; touch a b c"):format(r.tmp, r.tmp))
    r.edit { "timer.every(15,", "timer.every(0.05," }
    local p = r.run(nil, http.spawn)
    h.wait_for(function() return http.get(p, "/metrics").body:find "\norders_waiting{[^\n]*} 3\n" end, 10, "the metric")
    stop(p)
  end)

  recipe("Remember something, and show it", function(r)
    local p = r.run()
    p:wait_event "startup_completed"
    assert.equal("0, the last one never\n", (r.ask(p, "exits")))
    r.ask(p, "restart", "main")
    assert.matches("^1, the last one 20", (r.ask(p, "exits")))
    stop(p)
  end)

  local function pid_of(p, name)
    for _, process in ipairs(status(p).processes) do if process.name == name then return process.pid end end
  end

  recipe("Change a policy while it runs", function(r)
    local p = r.run()
    p:wait_event "startup_completed"
    local main, worker = pid_of(p, "main"), pid_of(p, "worker")
    r.edit({ '"sleep", "1000"', '"sleep", "2000"' }, { '"sleep", "1001"', '"sleep", "2001"' })
    p:wait_event "policy_reloaded"
    h.wait_for(function() return pid_of(p, "worker") and pid_of(p, "worker") ~= worker end, 10, "a new worker")
    assert.equal(main, pid_of(p, "main"))
    stop(p)
  end)

  recipe("Not now", function(r)
    local p = r.run { CONTAINER_RELOAD = "manual" }
    p:wait_event "startup_completed"
    h.write(r.tmp .. "batch-is-running", "")
    r.edit { '"sleep", "1000"', '"sleep", "2000"' }
    local _, code, err = r.ask(p, "reload")
    assert.equal(1, code)
    assert.matches("a batch is running", err, 1, true)
    os.remove(r.tmp .. "batch-is-running")
    assert.equal(0, select(2, r.ask(p, "reload")))
    stop(p)
  end)

  recipe("Change a password without a restart", function(r)
    if postgres.missing() then return pending(postgres.missing()) end
    local db = postgres.start()
    local file = r.tmp .. "db"
    local function put(password)
      h.write(file .. ".new", db:uri { user = "rotator", password = password })
      os.rename(file .. ".new", file)
    end
    db:sql "create role rotator login password 'one-password'"
    put "one-password"
    local p = r.run { CONTAINER_RPA_DB_CONNECTION_STRING_FILE = file }
    p:wait_event "startup_completed"
    put "wrong-password"
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", p:wait_event("policy_rejected").details.key)
    db:sql "alter role rotator password 'two-password'"
    put "two-password"
    p:wait_event "policy_reloaded"
    assert.equal(0, select(2, r.ask(p, "check-now", "rpa_database")))
    assert.equal(1, #p:events "process_started")
    stop(p)
    for _, word in ipairs { "one", "wrong", "two" } do assert.is_nil((p.out .. p.err):find(word .. "-password", 1, true)) end
  end)

  recipe("Find out why, from inside", function()
    -- pages_spec.lua types it; what a read-only prompt refuses is in repl_spec.lua
    local text = recipes["Find out why, from inside"][1].text
    local p = h.spawn { args = { "run", "--", "sh", "-c", "echo at work; exec sleep 1000" }, env = { CONTAINER_EXECUTION_MODE = "server" } }
    p:wait_event "startup_completed"
    local code, out, err = h.ask(p, "repl", "--read-only", "-e", text:match "'(logs [^']*)'", "-e", text:match "'(probe[^']*)'")
    assert.equal(0, code, err)
    assert.matches("at work", out, 1, true)
    assert.matches("127.0.0.1", out, 1, true)
    code = h.ask(p, "repl", "--read-only", "-e", 'assert(restart "main")')
    assert.equal(1, code)
    stop(p)
  end)

  recipe("What would last night have been?", function()
    -- pages_spec.lua types it, with the events of the recipe before
    assert.matches("simulate --flow-name remembering --events", recipes["What would last night have been?"][1].text, 1, true)
  end)
end)

describe("the page of recipes", function()
  it("has no recipe without a test", function()
    for _, title in ipairs(titles) do assert.is_true(tested[title], title) end
    assert.is_true(#titles >= 12)
  end)
end)
