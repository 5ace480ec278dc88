-- Cleanup handlers, hooks, the final report, several processes (contract 4, 5).
local h = require "harness"
local cjson = require "cjson"

local function run(text, o)
  local dir = h.tempdir()
  h.write(dir .. "/some.lua", text)
  local all = { args = { "run", "--flow-name", "some", "--flows", dir } }
  for k, v in pairs(o or {}) do all[k] = v end
  return h.spawn(all)
end

local function flow(rest, command)
  return ('return { name = "some", mode = "single", processes = { main = { command = %s } }, %s }')
    :format(command or '{ "true" }', rest)
end

local function results(p)
  local list = {}
  for i, e in ipairs(p:events("cleanup_completed")) do list[i] = e.details.name .. " " .. e.details.result end
  return list
end

describe("cleanup", function()
  it("critical first, then in reverse order; one that fails or hangs stops nobody", function()
    local p = run(flow [[cleanup = {
      { name = "first", run = function() end },
      { name = "raises", run = function() error("boom") end },
      { name = "hangs", timeout = 0.1, run = function() timer.sleep(600) end },
      { name = "loops", timeout = 0.3, run = function() while true do end end },
      { name = "important", critical = true, run = function() end },
      { name = "says_no", run = function() return nil, "it did not work" end },
    }]])
    assert.equal(0, (p:wait(30)))
    assert.same({ "important ok", "says_no failed", "loops timeout", "hangs timeout", "raises failed", "first ok" }, results(p))
    assert.equal(1, #p:events("shutdown_completed"))
    for _, e in ipairs(p:events("cleanup_completed")) do
      if e.details.name == "raises" then assert.truthy(e.details.detail:find("some.lua:3", 1, true)) end
    end
  end)

  it("runs after a failure, too, and the whole time is kept", function()
    local p = run(flow([[cleanup = { { name = "hangs", run = function() timer.sleep(600) end }, { name = "other", run = function() end } }]],
      '{ "false" }'), { env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_SHUTDOWN_TIMEOUT_SECONDS = 1 } })
    assert.equal(1, (p:wait(20)))
    assert.same({ "other ok", "hangs timeout" }, results(p))
    assert.is_true(p:events("shutdown_completed")[1].duration_ms <= 2000)
  end)

  it("leaves those after one that hangs their moment, however short the time is", function()
    local p = run(flow [[cleanup = {
      { name = "last", run = function() end },
      { name = "also_hangs", timeout = 60, run = function() timer.sleep(600) end },
      { name = "hangs", run = function() timer.sleep(600) end },
    }]], { env = { CONTAINER_SHUTDOWN_TIMEOUT_SECONDS = 2 } })
    assert.equal(0, (p:wait(20)))
    assert.same({ "hangs timeout", "also_hangs timeout", "last ok" }, results(p))
    assert.is_true(p:events("shutdown_completed")[1].duration_ms <= 3000)
  end)

  it("a built-in kind takes as many patterns as the plan allows", function()
    local dir, patterns = h.tempdir(), {}
    for i = 1, 32 do patterns[i] = ("%q"):format("*.t" .. i) end
    h.write(dir .. "/a.t32", "x")
    h.sh(("touch -d '2 hours ago' %s/a.t32"):format(dir))
    local p = run(flow(([[cleanup = { { name = "many", kind = "remove_temporary", params = { path = %q, pattern = { %s },
      older_than_s = 1, max_files = 10, max_mb = 1, empty_dirs = true, dry_run = false } } }]]):format(dir, table.concat(patterns, ", "))))
    assert.equal(0, (p:wait()))
    assert.same({ "many ok" }, results(p))
    assert.is_false(h.exists(dir .. "/a.t32"))
  end)

  it("built-in kinds keep to their folder and follow no symbolic link", function()
    local dir, other = h.tempdir(), h.tempdir()
    h.write(dir .. "/a.tmp", "x")
    h.write(dir .. "/keep.csv", "x")
    h.write(other .. "/precious.tmp", "x")
    h.sh(("ln -s %s %s/link; touch -d '2 hours ago' %s/a.tmp %s/precious.tmp"):format(other, dir, dir, other))
    local p = run(flow(([[cleanup = { { name = "temporary", kind = "remove_temporary", params = { path = %q, pattern = "*.tmp" } },
      { name = "sync", kind = "sync", params = { path = %q } } }]]):format(dir, dir)))
    assert.equal(0, (p:wait()))
    assert.same({ "sync ok", "temporary ok" }, results(p))
    assert.is_false(h.exists(dir .. "/a.tmp"))
    assert.is_true(h.exists(dir .. "/keep.csv"))
    assert.is_true(h.exists(other .. "/precious.tmp"))
  end)
end)

describe("the helper that stands by for cleanup", function()
  -- tend's own below init: the engine has an event loop, the journal its file
  local function standing_by(p)
    for _, pid in ipairs(p:children()) do
      local stat = h.stat(pid)
      local fds = h.sh(("ls -l /proc/%d/fd 2>/dev/null || true"):format(pid))
      if stat and stat.name == "tend" and stat.ppid == p:children()[1] and stat.state ~= "Z" and fds:find "pipe"
        and not fds:find "eventpoll" and not fds:find "events.jsonl" then
        return pid
      end
    end
  end

  local function two(signal)
    local dir = h.tempdir()
    h.sh(("touch -d '2 hours ago' %s/a.tmp %s/b.tmp"):format(dir, dir))
    local handler = '{ name = "%s", timeout = 0.5, kind = "remove_temporary", params = { path = "%s", pattern = "%s.tmp" } }'
    local p = run(flow(("cleanup = { %s, %s }"):format(handler:format("second", dir, "b"), handler:format("first", dir, "a")), '{ "sleep", "1000" }'))
    p:wait_event "startup_completed"
    local pid
    h.wait_for(function()
      pid = standing_by(p)
      return pid
    end, 5, "a helper that stands by")
    if signal then h.native.kill(pid, h.signals[signal]) end
    if signal == "KILL" then h.wait_for(function() return standing_by(p) ~= pid end, 5, "its end") end
    p:kill "TERM"
    assert.equal(143, (p:wait()))
    return results(p), h.exists(dir .. "/a.tmp"), h.exists(dir .. "/b.tmp")
  end

  it("does the first handler's work, another one the next's", function()
    assert.same({ { "first ok", "second ok" }, false, false }, { two() })
  end)

  it("costs its handler no more than its time where it hangs, and the next one nothing", function()
    assert.same({ { "first timeout", "second ok" }, true, false }, { two "STOP" })
  end)

  it("is followed by another one where it has died", function()
    assert.same({ { "first ok", "second ok" }, false, false }, { two "KILL" })
  end)

  it("takes half of a job for none", function()
    local dir = h.tempdir()
    h.sh(("touch -d '2 hours ago' %s/a.tmp"):format(dir))
    for _, job in ipairs { "3\\0clean\\0%s\\0", "2\\0clean\\0%s", "x\\0clean\\0%s\\0", "0\\0" } do
      local out, code = h.sh(("printf '%s' | %s helper attend 2>&1"):format(job:format(dir), h.tend))
      assert.equal(1, code, out)
    end
    assert.is_true(h.exists(dir .. "/a.tmp"))
    local out, code = h.sh(("printf '2\\0clean\\0%s\\0' | %s helper attend"):format(dir, h.tend))
    assert.equal(0, code)
    assert.truthy(out:find("\0000\n?$"))
    assert.is_false(h.exists(dir .. "/a.tmp"))
  end)
end)

describe("hooks", function()
  it("are called in their places, and a bad one is passed over", function()
    local p = run([[return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } } },
      hooks = {
        on_start = function() log.info("hook start") end,
        on_running = function() error("hook running is broken") end,
        on_drain = function() log.info("hook drain") end,
        on_stop = function() timer.sleep(0.05) log.info("hook stop") end,
      } }]])
    p:wait_event("script_error")
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    local order = {}
    for _, e in ipairs(p:events()) do
      if e.event == "message" then order[#order + 1] = e.message
      elseif e.event == "process_started" or e.event == "process_exited" then order[#order + 1] = e.event end
    end
    assert.same({ "hook start", "process_started", "hook drain", "hook stop", "process_exited" }, order)
  end)
end)

describe("the final report", function()
  it("holds what the specification names, and replaces the old one", function()
    local p = run(flow "", { env = { CONTAINER_WORKER_ID = "worker-7" } })
    assert.equal(0, (p:wait()))
    local path = p.dir .. "/logs/some_lifecycle_metrics.json"
    local report = cjson.decode(h.read(path) or '')
    for _, key in ipairs { "container_info", "metrics", "restart_config", "event_history", "dependency_checks", "startup", "checks",
                           "remedies", "processes", "exit" } do
      assert.is_not_nil(report[key], key)
    end
    assert.equal("worker-7", report.container_info.container_id)
    assert.equal("on-failure", report.restart_config.policy)
    assert.is_true(#report.event_history > 4)
    assert.truthy(h.read(p.dir .. "/logs/events.jsonl"):find('"event": "startup_completed"', 1, true))
    assert.equal(0, select(2, h.sh("ls -A " .. p.dir .. "/logs | grep -vx -e events.jsonl -e some_lifecycle_metrics.json && exit 1; exit 0")))
  end)

  it("can be asked for while it runs, also in the specification's way", function()
    local p = run(flow("", '{ "sleep", "1000" }'))
    p:wait_event("startup_completed")
    local file = p.dir .. "/debug_report.json"
    assert.equal(0, (h.ask(p, "--flow-name", "some", "--export-report", file)))
    assert.equal("RUNNING", cjson.decode(h.read(file) or '').container_info.state)
    assert.equal(0, (h.ask(p, "report", file)))
  end)
end)

describe("several processes", function()
  local function order(p, name)
    local list = {}
    for i, e in ipairs(p:events(name)) do list[i] = e.details.process .. (e.details.instance or "") end
    return list
  end

  it("start in the order of `after`, stop in the reverse one", function()
    local p = run [[return { name = "some", mode = "server", processes = {
      main = { command = { "sleep", "1000" }, after = { "cache" } },
      cache = { command = { "sleep", "1000" }, after = { "base" } },
      base = { command = { "sleep", "1000" } },
    } }]]
    p:wait_event("startup_completed")
    assert.same({ "base", "cache", "main" }, order(p, "process_started"))
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    assert.same({ "main", "cache", "base" }, order(p, "process_exited"))
  end)

  it("a start-up check holds back who comes after", function()
    local port = h.free_port()
    local p = run(([[return { name = "some", mode = "single", processes = {
      main = { command = { "echo", "ran" }, after = { "server" } },
      server = { command = { "sleep", "1000" }, startup = { name = "up", kind = "tcp", params = { host = "127.0.0.1", port = %d }, interval = 0.02 }, start_timeout = 60 },
    } }]]):format(port))
    p:wait_event("process_started")
    assert.equal(0, #p:events("startup_completed"))
    h.listen(port)
    assert.equal(0, (p:wait()))
    assert.equal("ran\n", p.out)
  end)

  it("instances know their number", function()
    local p = run([[return { name = "some", mode = "server", processes = {
      main = { command = { "sleep", "1000" } }, worker = { command = { "sh", "-c", "echo worker $TEND_INSTANCE; exec sleep 1000" }, instances = 3 } } }]])
    for i = 0, 2 do p:wait_line("^worker " .. i .. "$") end
    p:kill("TERM")
    assert.equal(0, (p:wait()))
  end)

  it("a final failure of another degrades; of an essential one it ends all with its code", function()
    for essential, code in pairs { ["false"] = 0, ["true"] = 9 } do
      local p = run(([[return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } },
        side = { command = { "sh", "-c", "exit 9" }, restart = { policy = "no" }, essential = %s } } }]]):format(essential))
      p:wait_event("failure_detected")
      if essential == "false" then
        h.wait_for(function()
          local code_, out = h.ask(p, "health")
          return code_ == 0 and out:find("degraded")
        end, 10, "degraded")
        p:kill("TERM")
      end
      assert.equal(code, (p:wait()))
    end
  end)

  it("the stop ladder is climbed, and signals may go to the group", function()
    local p = run [[return { name = "some", mode = "server", processes = { main = {
      command = { "sh", "-c", "trap 'echo got term' TERM; trap 'echo got int; exit 0' INT; echo ready; while :; do sleep 0.05; done" },
      stop = { ladder = { { signal = "TERM", wait = 0.3 }, { signal = "INT", wait = 5 } } } } } }]]
    p:wait_line("^ready$")
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    assert.truthy(p.out:find("got term.*got int"))
  end)
end)
