-- The log as collectors see it, events.jsonl, the report, and the commands that ask a running engine (contract 1, 6, 7).
local h = require "harness"
local cjson = require "cjson"

local function run(script, o)
  local all = { args = { "run", "--flow-name", "plain", "--", "sh", "-c", script }, env = { CONTAINER_EXECUTION_MODE = "server" } }
  for k, v in pairs(o or {}) do
    if k == "env" then
      for name, value in pairs(v) do all.env[name] = value end
    else
      all[k] = v
    end
  end
  local p = h.spawn(all)
  p:wait_event("startup_completed")
  return p
end

local function stop(p)
  p:kill("TERM")
  return p:wait()
end

local function ask_json(p, ...)
  local _, out = h.ask(p, ...)
  return cjson.decode(out)
end

local function keys_of(line)
  -- the order of the keys at the top: what is nested comes last
  local keys = {}
  for key in line:gsub('"details": .*', '"details": '):gmatch('"([a-z_]+)": ') do keys[#keys + 1] = key end
  return table.concat(keys, " ")
end

local function lines_with(text, fixed)
  local n = 0
  for line in text:gmatch("[^\n]+") do
    if line:find(fixed, 1, true) then n = n + 1 end
  end
  return n
end

describe("the log", function()
  it("is found by the specification's three filters", function()
    local p = h.spawn {
      args = { "run", "--flow-name", "plain", "--", "sh", "-c", "exit 3" },
      env = { CONTAINER_EXECUTION_MODE = "server", CONTAINER_RESTART_DELAY_SECONDS = 600, CONTAINER_MAX_RESTART_DELAY_SECONDS = 600 },
    }
    p:wait_event("restart_initiated")
    stop(p)
    local log = p.err
    assert.equal(1, lines_with(log, '"event": "restart_initiated"'))
    assert.is_true(lines_with(log, '"event": "health_check"') >= 1)
    local managers = { startup_initiated = 1, dependencies_ready = 1, startup_completed = 1, health_check_passed = 1, health_check_failed = 1,
      shutdown_initiated = 1, shutdown_completed = 1, restart_initiated = 1, failure_detected = 1, recovery_completed = 1 }
    for _, e in ipairs(p:events()) do
      assert.equal(managers[e.event] ~= nil, e.component == "lifecycle_manager", e.event)
    end
  end)

  it("has the keys in their order, and times of RFC 3339", function()
    local p = run "exec sleep 1000"
    stop(p)
    for line in p.err:gmatch("[^\n]+") do
      local keys = keys_of(line):gsub(" duration_ms", ""):gsub(" message", "")
      assert.equal("timestamp level component container_id flow event details", keys)
      assert.truthy(line:match('^{"timestamp": "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ", "level": "[A-Z]+", "component": "'))
    end
  end)

  it("leaves out what is below its level, and keeps it in memory", function()
    local p = h.spawn {
      args = { "run", "--flow-name", "plain", "--log-level", "error", "--", "sh", "-c", "echo ready; exec sleep 1000" },
      env = { CONTAINER_EXECUTION_MODE = "server" },
    }
    p:wait_line("^ready$")
    h.wait_for(function() return select(2, h.ask(p, "events")):find("startup_completed", 1, true) end)
    assert.same({}, p:events())
    stop(p)
  end)

  it("is told of at once where events.jsonl cannot be written any more, and when it can", function()
    local dir = h.tempdir()
    local p = run("exec sleep 1000", { env = { CONTAINER_LOG_DIR = dir } })
    h.wait_for(function() return h.read(dir .. "/events.jsonl") end, 10, "the first lines")
    local function something_happens() h.ask(p, "maintenance", "on") h.ask(p, "maintenance", "off") end
    os.remove(dir .. "/events.jsonl")
    assert.equal(0, select(2, h.sh("mkdir " .. h.quote(dir .. "/events.jsonl"))))
    something_happens()
    local function said(what) return p.err:find(what, 1, true) end
    h.wait_for(function() return said "events are not written to" end, 10, "the loss")
    assert.truthy(said "Is a directory")
    os.remove(dir .. "/events.jsonl")
    h.wait_for(function()
      something_happens()
      return said "events.jsonl again"
    end, 20, "the end of it")
    assert.equal(1, (select(2, p.err:gsub("events are not written to", ""))))
    stop(p)
  end)

  it("shows no secret, in the journal and in the report neither", function()
    local p = run("exec sleep 1000", { env = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:geheim-42@h/db" } })
    local _, report = h.ask(p, "report")
    local _, config = h.ask(p, "status", "--json")
    h.ask(p, "restart", "geheim-42")
    stop(p)
    local journal = h.read(p.dir .. "/logs/events.jsonl")
    local final = h.read(p.dir .. "/logs/plain_lifecycle_metrics.json")
    for _, text in ipairs { p.err, report, config, journal, final } do assert.is_nil(text:find("geheim-42", 1, true)) end
    assert.truthy(p.err:find("***", 1, true))
  end)

  it("events.jsonl holds the same lines", function()
    local p = run "exec sleep 1000"
    stop(p)
    assert.equal(p.err, h.read(p.dir .. "/logs/events.jsonl"))
  end)
end)

describe("the report", function()
  it("has its keys at the end, and while it runs", function()
    local p = run "exec sleep 1000"
    local file = p.dir .. "/report.json"
    assert.equal(0, (h.ask(p, "report", file)))
    local running = cjson.decode(h.read(file))
    stop(p)
    local final = cjson.decode(h.read(p.dir .. "/logs/plain_lifecycle_metrics.json"))
    for _, key in ipairs { "container_info", "metrics", "restart_config", "event_history", "dependency_checks", "startup", "checks", "remedies",
      "processes", "exit" } do
      assert.not_nil(running[key], key)
      assert.not_nil(final[key], key)
    end
    assert.equal(cjson.null, running.exit)
    assert.equal(0, final.exit.code)
    assert.is_true(final.exit.graceful)
    assert.equal(1, final.metrics.graceful_shutdowns)
    assert.equal("plain", final.container_info.flow)
    assert.equal("startup_completed", (function()
      for _, e in ipairs(final.event_history) do
        if e.event == "startup_completed" then return e.event end
      end
    end)())
  end)
end)

describe("asking", function()
  it("status, health, why, metrics, events, logs", function()
    local p = run "echo hello; exec sleep 1000"
    local code, out = h.ask(p, "status")
    assert.equal(0, code)
    assert.truthy(out:match("^plain %(.-%): RUNNING for %d+ s, healthy, ready\n"))
    local status = ask_json(p, "status", "--json")
    assert.equal("RUNNING", status.state)
    assert.equal("main", status.processes[1].name)
    assert.equal(0, (h.ask(p, "health")))
    assert.truthy(select(2, h.ask(p, "why")):match("^RUNNING: "))
    local metrics = select(2, h.ask(p, "metrics", "--json"))
    local order = {}
    for key in metrics:gmatch('"([a-z_]+)": ') do order[#order + 1] = key end
    assert.same({ "container_health_status", "database_response_time_ms", "memory_usage_percent", "cpu_usage_percent", "disk_usage_percent",
      "health_check_failures", "restart_count", "uptime_seconds", "startup_count", "successful_startups", "failed_startups",
      "graceful_shutdowns", "forced_shutdowns", "total_uptime_seconds" }, order)
    assert.equal(1, cjson.decode(metrics).successful_startups)
    h.wait_for(function() return select(2, h.ask(p, "logs")) == "hello\n" end)
    assert.equal('{"main": "hello\\n"}\n', select(2, h.ask(p, "logs", "--json")))
    local events = select(2, h.ask(p, "events", "--json"))
    assert.truthy(events:find('"event": "startup_completed"', 1, true))
    stop(p)
  end)

  it("follows events and logs until the engine ends", function()
    local p = run "while read -r x; do echo \"<$x>\"; done; exec sleep 1000" -- standard input is /dev/null here
    local env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR }
    local follower = h.spawn { args = { "events", "--follow", "--last", "0" }, dir = p.dir, env = env }
    local reader = h.spawn { args = { "logs", "main", "--follow" }, dir = p.dir, env = env }
    h.wait_for(function()
      h.ask(p, "restart")
      return follower.out:find("process_started", 1, true)
    end)
    stop(p)
    assert.equal(0, (follower:wait()))
    assert.equal(0, (reader:wait()))
    assert.truthy(follower.out:find("shutdown_initiated", 1, true))
  end)

  it("shows and follows the output of all processes and instances, or of one", function()
    local dir = h.tempdir()
    h.write(dir .. "/several.lua", [[
      local say = "echo $0; while [ ! -e " .. settings.get "DATA_DIR" .. "/go ]; do sleep 0.05; done; echo $0 again; exec sleep 1000"
      return { name = "several", mode = "server", processes = {
        main = { "sh", "-c", say, "main" }, worker = { command = { "sh", "-c", say, "worker" }, instances = 2 } } }]])
    local p = h.spawn { args = { "run", "--flows", dir, "--flow-name", "several" } }
    h.wait_for(function() return #p:events "process_started" == 3 end)
    local all = h.spawn { args = { "logs", "--follow" }, dir = p.dir, env = p.env }
    local one = h.spawn { args = { "logs", "worker/1", "--follow" }, dir = p.dir, env = p.env }
    for _, line in ipairs { "==> main <==", "==> worker <==", "==> worker/1 <==" } do all:wait_line(line) end
    one:wait_line "worker"
    h.write(p.env.CONTAINER_DATA_DIR .. "/go", "")
    one:wait_line "worker again"
    assert.equal("worker\nworker again\n", one.out)
    assert.equal("worker\nworker again\n", select(2, h.ask(p, "logs", "worker/1")))
    assert.equal("==> main <==\nmain\nmain again\n==> worker <==\nworker\nworker again\nworker\nworker again\n", select(2, h.ask(p, "logs")))
    assert.matches("2 instances, from 0", select(3, h.ask(p, "logs", "worker/2")), 1, true)
    assert.matches("name worker", select(3, h.ask(p, "restart", "worker/1")), 1, true)
    stop(p)
    assert.equal(0, (all:wait()))
  end)

  it("stop, start, restart and shutdown wait for the outcome; each is an audit event", function()
    local p = run "exec sleep 1000"
    assert.equal(0, (h.ask(p, "stop")))
    assert.equal("STOPPED", ask_json(p, "status", "--json").state)
    assert.equal(0, (h.ask(p, "start")))
    assert.equal("RUNNING", ask_json(p, "status", "--json").state)
    local before = ask_json(p, "status", "--json").processes[1].pid
    assert.equal(0, (h.ask(p, "restart", "main")))
    assert.not_equal(before, ask_json(p, "status", "--json").processes[1].pid)
    assert.equal(0, (h.ask(p, "shutdown")))
    assert.equal(0, (p:wait()))
    local ops = {}
    for i, e in ipairs(p:events("audit")) do
      ops[i] = e.details.op .. (e.details.outcome and " " .. e.details.outcome or "")
      assert.equal("control", e.component)
      assert.is_true(e.details.pid > 0)
    end
    assert.same({ "stop", "stop done", "start", "start done", "restart", "restart done", "shutdown", "shutdown done" }, ops)
  end)

  it("says what is wrong: 1 no, 64 wrong use, 69 nobody there", function()
    local p = run "exec sleep 1000"
    local code, _, err = h.ask(p, "restart", "mian")
    assert.equal(1, code)
    assert.truthy(err:find('did you mean "main"', 1, true))
    code, _, err = h.ask(p, "status", "--jsn")
    assert.equal(64, code)
    assert.equal('tend status: unknown option --jsn; did you mean "--json"?\n', err)
    code = h.ask(p, "status", "--flow-name", "other")
    assert.equal(69, code)
    local dir = h.tempdir()
    code, _, err = h.ask(p, "status", "--state-dir", dir)
    assert.equal(69, code)
    assert.truthy(err:find(dir, 1, true))
    stop(p)
    code = h.ask(p, "status")
    assert.equal(69, code)
  end)

  it("a second engine of the flow is refused with 73, naming the first; of several one is named", function()
    local p = run "exec sleep 1000"
    local env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR }
    local code, _, err = h.run { args = { "run", "--flow-name", "plain", "--", "true" }, env = env }
    assert.equal(73, code)
    assert.truthy(err:find("pid " .. p.pid, 1, true))
    local other = h.spawn { args = { "run", "--flow-name", "other", "--", "sleep", "1000" }, env = env }
    other:wait_event("startup_completed")
    code, _, err = h.ask(p, "status")
    assert.equal(64, code)
    assert.truthy(err:find("plain", 1, true) and err:find("other", 1, true))
    assert.equal(0, (h.ask(p, "status", "--flow-name", "other")))
    stop(other)
    assert.equal(0, (h.ask(p, "status")))
    stop(p)
  end)

  it("an old socket and a long path are no hindrance", function()
    local deep = h.tempdir() .. "/" .. ("d"):rep(120)
    local p = run("exec sleep 1000", { env = { CONTAINER_STATE_DIR = deep } })
    assert.equal(0, (h.ask(p, "status")))
    p:kill("KILL")
    p:wait()
    local again = run("exec sleep 1000", { env = { CONTAINER_STATE_DIR = deep } })
    assert.equal(0, (h.ask(again, "status")))
    stop(again)
  end)
end)
