-- tend simulate: the time lines of the flows that come along, scenarios right and wrong, a recorded night.
local h = require "harness"
local cjson = require "cjson"

local FLOW = [[
return {
  name = "x", mode = "server",
  processes = { main = { "sleep", "1000" }, helper = { command = { "sleep", "1000" }, restart = { max_attempts = 2 } } },
  dependencies = { { name = "db", kind = "tcp", params = { host = "h", port = 1 }, timeout = 60, interval = 2 } },
  checks = { { name = "disk", kind = "directory", params = { path = "/" }, interval = 10, failures = 2 } },
  remedies = { { name = "space", check = "disk", steps = { { kind = "collect", name = "tidy" } }, escalate = { { name = "restart", kind = "restart" } } } },
}]]

local function simulate(flow, args, env)
  local list = { "simulate", "--flow-name", flow }
  for _, a in ipairs(args) do list[#list + 1] = a end
  return h.run { args = list, env = env }
end

describe("tend simulate", function()
  local dir

  before_each(function()
    dir = h.tempdir()
    h.write(dir .. "/x.lua", FLOW)
  end)

  local function with(scenario, ...)
    h.write(dir .. "/scenario.lua", scenario)
    return simulate("x", { "--flows", dir, dir .. "/scenario.lua", ... })
  end

  local function events(scenario)
    local code, out, err = with(scenario, "--json")
    assert.equal(0, code, out .. err)
    local json, list = cjson.decode(out), {}
    for _, e in ipairs(json.timeline) do list[#list + 1] = e end
    return list, json
  end

  local function find(list, event, key, value)
    for _, e in ipairs(list) do
      if e.event == event and (not key or e.details[key] == value) then return e end
    end
  end

  for _, flow in ipairs { "rpa1", "rpa2", "rpa3", "demo" } do
    it("gives the expected week of " .. flow .. ", in well under a second", function()
      local files = h.top .. "/spec/scenarios/" .. flow
      local code, out, err, cpu = simulate(flow, { "--scenario", files .. ".lua", "--check", files .. ".expected" },
        { CONTAINER_RPA3_CONCURRENT_WORKERS = "4", CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u@localhost/db", CONTAINER_ENVIRONMENT = "test" })
      assert.equal(0, code, out .. err)
      assert.equal("", out)
      assert.is_true(cpu < 1 * h.slow, cpu)
    end)
  end

  it("tells the states of each thing over time, as JSON", function()
    local _, json = events("return { processes = { main = { { runs = 60, exit = 1 } } } }")
    local rows = {}
    for i, row in ipairs(json.rows) do
      local states = {}
      for k, change in ipairs(row.changes) do states[k] = ("%g %s"):format(change.at_seconds, change.state) end
      rows[i] = row.name .. ": " .. table.concat(states, ", ")
    end
    assert.same({
      "container: 0 INITIALIZING, 0 STARTING, 0 RUNNING, 60 RESTARTING, 70 STARTING, 70 RUNNING", "helper: 0 down, 0 up",
      "main: 0 down, 0 up, 60 backoff, 70 up", "dependency db: 0 good", "check disk: " .. rows[5]:match "[%d.]+ healthy",
    }, rows)
  end)

  it("without a scenario has a good hour", function()
    local code, out = simulate("x", { "--flows", dir })
    assert.equal(0, code)
    assert.matches("STARTING -> RUNNING", out, 1, true)
    assert.matches("0d 01:00:00.000  end: RUNNING, healthy; restarts: 0; remedies: 0", out, 1, true)
  end)

  it("waits for a dependency that comes late, and ends without one that does not", function()
    local list = events [[return { dependencies = { db = { { at = 0, is = "refused", lasts = 31 } } } }]]
    assert.equal("refused", find(list, "dependency_waiting").details.reason)
    assert.equal(32, find(list, "dependency_ready").at_seconds)
    assert.equal(32, find(list, "startup_completed").at_seconds)
    local _, json = events [[return { lasts = "1d", dependencies = { db = "refused" } }]]
    assert.equal(69, json["end"].exit_code)
  end)

  it("restarts, escalates and heals as the policy says", function()
    local list, json = events [[return {
      checks = { disk = { { at = 100, is = "full", heals = "restart" } } },
      processes = { helper = { { runs = 50, exit = 4, repeats = 2 } } },
    }]]
    assert.equal(4, find(list, "failure_detected", "process", "helper").details.exit_code)
    assert.equal("ok", find(list, "remediation_step", "step", "tidy").details.outcome)
    assert.equal("ok", find(list, "remediation_step", "step", "restart").details.outcome)
    assert.equal("restart", find(list, "recovery_completed", "remedy", "space").details.step)
    assert.equal("RUNNING", json["end"].state)
  end)

  it("obeys signals and operators", function()
    local list, json = events [[return {
      processes = { main = { { stops = "3s", stop_exit = 0 } } },
      orders = { { at = "10m", restart = "helper" }, { at = "20m", maintenance = "5m" }, { at = "30m", signal = "TERM" } },
    }]]
    assert.equal("helper", find(list, "audit").details.process)
    assert.equal(1200, find(list, "maintenance").at_seconds)
    assert.equal("TERM", find(list, "shutdown_initiated").details.signal)
    assert.same({ 1803, 0 }, { json["end"].at_seconds, json["end"].exit_code })
  end)

  it("is the same every time, another seed another jitter", function()
    local text = [[return { seed = %d, processes = { helper = { { runs = 5, exit = 1 } } } }]]
    h.write(dir .. "/x.lua", (FLOW:gsub("max_attempts = 2", "jitter_percent = 50")))
    local _, one = with(text:format(7))
    local _, same = with(text:format(7))
    local _, other = with(text:format(8))
    assert.equal(one, same)
    assert.not_equal(one, other)
  end)

  it("shows where it differs from what is expected", function()
    local _, out = with "return {}"
    h.write(dir .. "/expected", (out:gsub("dependencies_ready", "dependencies_reddy")))
    local code, shown = with("return {}", "--check", dir .. "/expected")
    assert.equal(1, code)
    assert.matches("\n%- (%d+): 0d 00:00:00.000  dependencies_reddy\n%+ %1: 0d 00:00:00.000  dependencies_ready\n$", shown)
    h.write(dir .. "/expected", out)
    local same, text, problem = with("return {}", "--check", dir .. "/expected")
    assert.same({ 0, "", "" }, { same, text, problem })
  end)

  it("plots", function()
    local code, out = with([[return { lasts = "2h", processes = { main = { { runs = "1h", exit = 1 } } } }]], "--plot")
    assert.equal(0, code)
    assert.matches("\ncheck disk +|=+", out)
    assert.matches("container +|=+r+=+|", out)
  end)

  it("names file, line and key of what is wrong", function()
    local code, _, err = with [[return {
  lasts = "soon",
  dependencies = { bd = "refused" },
  processes = {
    main = { { runs = 60, exit = "three" } },
  },
  order = {},
}]]
    assert.equal(78, code)
    for _, part in ipairs { "scenario.lua:2", "lasts", "scenario.lua:3", 'did you mean "db"', "scenario.lua:5", "processes.main[1].exit",
      "scenario.lua:7", 'did you mean "orders"' } do
      assert.matches(part, err, 1, true)
    end
    for _, text in ipairs { "return 3", "return {", "", "while true do end", "return { orders = { {} } }", "return { checks = 1 }",
      "return { checks = { disk = function() end } }", "return { processes = { main = { {}, 3 } } }" } do
      local c, _, e = with(text)
      assert.equal(78, c, text .. e)
      assert.matches("scenario.lua", e, 1, true)
    end
    assert.equal(78, (simulate("x", { "--flows", dir, "--scenario", dir .. "/none.lua" })))
    assert.equal(78, (simulate("nothere", {})))
    for _, words in ipairs { { "--scenario", "a", "--events", "b" }, { "a", "--events", "b" }, { "a", "b" } } do
      assert.equal(64, (simulate("x", words)))
    end
  end)

  it("plays a recorded run under another policy", function()
    local flow = [[return { mode = "server", processes = { main = { command = { "sh", "-c",
      "n=$(cat %s/n 2>/dev/null || echo 0); echo $((n+1)) >%s/n; [ $n -ge 2 ] && exec sleep 1000; exit 3" } } } }]]
    h.write(dir .. "/night.lua", flow:format(dir, dir))
    local p = h.spawn { args = { "run", "--flow-name", "night", "--flows", dir }, env = { CONTAINER_RESTART_DELAY_SECONDS = 0 } }
    h.wait_for(function()
      local _, n = (p.out .. p.err):gsub("startup_completed", "")
      return n >= 3
    end, 20, "three starts")
    p:kill "TERM"
    p:wait(20)
    local file, env = p.dir .. "/logs/events.jsonl", { CONTAINER_RESTART_DELAY_SECONDS = 0 }
    local code, out, err = simulate("night", { "--flows", dir, "--events", file, "--json" }, env)
    assert.equal(0, code, out .. err)
    local json = cjson.decode(out)
    local function lifecycle(list)
      local names = {}
      for _, e in ipairs(list) do
        if e.event:find "^process_" or e.event:find "^startup_" or e.event:find "^restart_" or e.event:find "^shutdown_" or
          e.event == "failure_detected" or e.event == "recovery_completed" or e.event == "dependencies_ready" then
          names[#names + 1] = e.event
        end
      end
      return names
    end
    local real = {}
    for line in h.read(file):gmatch "[^\n]+" do real[#real + 1] = cjson.decode(line) end
    assert.same(lifecycle(real), lifecycle(json.timeline)) -- under the same policy it comes as it came
    assert.equal(2, json["end"].restarts)
    assert.equal(0, json["end"].exit_code)
    h.write(dir .. "/night.lua", (flow:format(dir, dir):gsub('mode = "server",', 'mode = "server", settings = { RESTART_POLICY = "no" },')))
    code, out, err = simulate("night", { "--flows", dir, "--events", file, "--json" }, env)
    assert.equal(0, code, out .. err)
    assert.equal(3, cjson.decode(out)["end"].exit_code)
  end)
end)
