-- What comes along for Prometheus and Grafana uses only metrics that a running tend has.
local cjson = require "cjson"
local h = require "harness"
local http = require "endpoint"

local function without_promtool()
  if select(2, h.sh "command -v promtool") ~= 0 then return "promtool is not there (Debian: prometheus)" end
end

-- the names of all series that tend tells, with a database among its dependencies, a remedy and an alert receiver
local function told()
  local dir = h.tempdir()
  h.write(dir .. "/some.lua", ([[return { name = "some", mode = "server",
    dependencies = { { name = "db", kind = "postgres", required = false, timeout = 0.2, params = { conninfo = "host=127.0.0.1 port=%d" } } },
    checks = { { name = "bad", check = function() return false end, failures = 1, interval = 0.1 } },
    remedies = { { name = "mend", check = "bad", failures = 1, steps = { { name = "nothing", run = function() return true end } } } },
    processes = { main = { command = { "sleep", "1000" } } } }]]):format(h.free_port()))
  local p = http.spawn { args = { "run", "--flow-name", "some", "--flows", dir } }
  p:wait_event "remediation_completed"
  local text
  local function has(name) return text:find("\n" .. name, 1, true) end
  h.wait_for(function()
    text = "\n" .. http.get(p, "/metrics").body
    return has "tend_disk_usage_ratio" and has "tend_database_up" and has "tend_remediations_total" and has "tend_loop_lag_seconds_bucket"
  end, 20, "the metrics")
  p:kill "TERM"
  p:wait()
  local names = {}
  for name in text:gmatch "\n([%a_][%w_]*)" do names[name] = true end
  -- these need a database that answers, control groups with a CPU limit, or PSI in the kernel
  for _, name in ipairs { "tend_database_response_seconds", "tend_cpu_throttled_seconds_total", "tend_pressure_ratio", "tend_oom_kills_total", "tend_cpu_usage_ratio" } do
    assert(h.read(h.top .. "/engine/core/vitals.c"):find('"' .. name .. '"', 1, true), name)
    names[name] = true
  end
  return names
end

describe("deploy", function()
  it("has alert rules that do what they say", function()
    local missing = without_promtool()
    if missing then return pending(missing) end
    local out, code = h.sh "promtool check rules deploy/prometheus/tend.rules.yml && cd deploy/prometheus && promtool test rules tend.rules.test.yml"
    assert.equal(0, code, out)
  end)

  it("uses metrics that exist, in rules and dashboard", function()
    local names = told()
    local exprs = {}
    for expr in h.read(h.top .. "/deploy/prometheus/tend.rules.yml"):gmatch "expr: ([^\n]+)" do exprs[#exprs + 1] = expr end
    local board = cjson.decode(h.read(h.top .. "/deploy/grafana/tend.json"))
    for _, panel in ipairs(board.panels) do
      assert.is_true(#panel.targets > 0)
      for _, target in ipairs(panel.targets) do exprs[#exprs + 1] = target.expr end
    end
    local n = 0
    for _, expr in ipairs(exprs) do
      for name in expr:gmatch "tend_[%a_]+" do
        n = n + 1
        assert.is_true(names[name], name .. " in " .. expr)
      end
    end
    assert.is_true(n > 30)
  end)
end)
