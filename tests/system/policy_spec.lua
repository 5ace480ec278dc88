-- Restart policies, execution modes and exit codes, seen from outside (contract 4).
local cjson = require "cjson"
local h = require "harness"

local function env(more)
  local e = {
    CONTAINER_RESTART_DELAY_SECONDS = "10ms", CONTAINER_MAX_RESTART_DELAY_SECONDS = "80ms",
    CONTAINER_MAX_RESTART_ATTEMPTS = 2, CONTAINER_EXECUTION_INTERVAL = "10ms",
  }
  for k, v in pairs(more or {}) do e["CONTAINER_" .. k] = v end
  return e
end

local function run(command, settings, args)
  local all = { "run", "--flow-name", "plain" }
  for _, a in ipairs(args or {}) do all[#all + 1] = a end
  all[#all + 1] = "--"
  for _, a in ipairs(command) do all[#all + 1] = a end
  return h.spawn { args = all, env = env(settings) }
end

local function sh(script) return { "sh", "-c", script } end

local function last(p)
  local events = p:events("shutdown_completed")
  assert.equal(1, #events)
  local all = p:events()
  assert.equal("shutdown_completed", all[#all].event)
  return events[1].details
end

describe("exit codes", function()
  it("gives the workload's own code for all 256", function()
    for first = 0, 255, 16 do
      local procs = {}
      for code = first, first + 15 do
        procs[code] = run(sh("exit " .. code), { RESTART_POLICY = "no" })
      end
      for code, p in pairs(procs) do
        assert.equal(code, (p:wait()))
        local d = last(p)
        assert.equal(code, d.exit_code)
        assert.equal("workload", d.exit_source)
        p:close()
      end
    end
  end)

  it("gives 128 + N for each signal that ends it", function()
    local procs = {}
    for name, number in pairs(h.signals) do
      if not ("CHLD CONT STOP TSTP TTIN TTOU URG WINCH"):find(name) then
        procs[number] = run(sh("ulimit -c 0; kill -" .. number .. " $$; sleep 10"), { RESTART_POLICY = "no" })
      end
    end
    for _, number in ipairs { 34, 40, 64 } do
      procs[number] = run(sh("kill -" .. number .. " $$; sleep 10"), { RESTART_POLICY = "no" })
    end
    for number, p in pairs(procs) do
      assert.equal(128 + number, (p:wait()), "signal " .. number)
      assert.equal("workload", last(p).exit_source)
    end
  end)

  it("tells what cannot be executed from what is not there", function()
    local dir = h.tempdir()
    h.write(dir .. "/plain", "text\n")
    local cases = {
      [127] = { { dir .. "/missing" }, { "no-such-program-anywhere" } },
      [126] = { { dir .. "/plain" }, { dir } },
    }
    for code, commands in pairs(cases) do
      for _, command in ipairs(commands) do
        local p = run(command)
        assert.equal(code, (p:wait()))
        local failure = p:events("failure_detected")
        assert.equal(1, #failure) -- final at once
        assert.is_true(failure[1].details.final)
        assert.truthy(failure[1].message:find(command[1], 1, true))
        assert.equal(0, #p:events("restart_initiated"))
      end
    end
  end)
end)

describe("policy", function()
  -- how often a command is run in all (attempts 2), by policy, mode and end
  local bad_ends = { exit = "exit 3", signal = "kill -KILL $$" }
  local codes = { exit = 3, signal = 137 }
  for _, policy in ipairs { "no", "always", "on-failure", "unless-stopped" } do
    for _, mode in ipairs { "single", "server", "daemon" } do
      for how, script in pairs(bad_ends) do
        it(("%s, mode %s, bad end by %s"):format(policy, mode, how), function()
          local p = run(sh(script), { RESTART_POLICY = policy, EXECUTION_MODE = mode })
          assert.equal(codes[how], (p:wait()))
          local starts = policy == "no" and 1 or 3
          assert.equal(starts, #p:events("process_started"))
          assert.equal(starts - 1, #p:events("restart_initiated"))
          assert.equal(starts, #p:events("startup_initiated")) -- each restart is a pass through STARTING
          assert.equal(codes[how], last(p).exit_code)
        end)
      end
    end
  end

  it("single: a good end is the end under every policy but those that always restart", function()
    for _, policy in ipairs { "no", "on-failure" } do
      local p = run(sh("exit 0"), { RESTART_POLICY = policy, EXECUTION_MODE = "single" })
      assert.equal(0, (p:wait()))
      assert.equal(1, #p:events("process_started"))
    end
  end)

  it("server: a good end is good under on-failure and restarted under always", function()
    local p = run(sh("exit 0"), { RESTART_POLICY = "on-failure", EXECUTION_MODE = "server" })
    assert.equal(0, (p:wait()))
    assert.equal(1, #p:events("process_started"))
    p = run(sh("exit 0"), { RESTART_POLICY = "always", EXECUTION_MODE = "server" })
    assert.are_not.equal(0, (p:wait())) -- the restarts are used up: a failure never ends in 0
    assert.equal(3, #p:events("process_started"))
  end)

  it("daemon: repeats after a good end; no restarts, no passes, no overlap", function()
    local dir = h.tempdir()
    local lock = dir .. "/lock"
    local p = run(sh(("mkdir %s || echo OVERLAP; echo run; rmdir %s"):format(lock, lock)), { EXECUTION_MODE = "daemon" })
    p:wait_event("process_started", { nth = 5 })
    assert.equal(1, #p:events("startup_initiated"))
    assert.equal(0, #p:events("restart_initiated"))
    p:kill("TERM")
    p:wait()
    assert.is_nil(p.out:find("OVERLAP"))
  end)

  it("daemon: a good run between failures starts the delays anew", function()
    local dir = h.tempdir()
    local p = run(sh(("n=$(cat %s/n 2>/dev/null || echo 0); echo $((n+1)) > %s/n; [ $((n %% 2)) = 1 ]"):format(dir, dir)),
      { MAX_RESTART_ATTEMPTS = 0, EXECUTION_MODE = "daemon" })
    p:wait_event("restart_initiated", { nth = 3 })
    for _, e in ipairs(p:events("restart_initiated")) do
      assert.equal(1, e.details.attempt)
      assert.equal(0.01, e.details.delay_seconds)
    end
    p:kill("TERM")
    p:wait()
  end)

  it("delays by the formula, and up to the maximum", function()
    local p = run(sh("exit 1"), { MAX_RESTART_ATTEMPTS = 5 })
    assert.equal(1, (p:wait()))
    local delays, attempts = {}, {}
    for i, e in ipairs(p:events("restart_initiated")) do
      delays[i], attempts[i] = e.details.delay_seconds, e.details.in_window
    end
    assert.same({ 0.01, 0.02, 0.04, 0.08, 0.08 }, delays)
    assert.same({ 1, 2, 3, 4, 5 }, attempts)
    p = run(sh("exit 1"), { RESTART_EXPONENTIAL_BACKOFF = "false" })
    p:wait()
    for _, e in ipairs(p:events("restart_initiated")) do assert.equal(0.01, e.details.delay_seconds) end
  end)

  it("waits the delay between the end and the next start", function()
    local p = run(sh("exit 1"), { RESTART_DELAY_SECONDS = "300ms", MAX_RESTART_DELAY_SECONDS = "300ms", MAX_RESTART_ATTEMPTS = 1 })
    p:wait()
    local ended, started = p:events("process_exited")[1], p:events("process_started")[2]
    local function ms(e) return tonumber(e.timestamp:match(":(%d%d%.%d+)Z")) end
    local gap = (ms(started) - ms(ended)) % 60
    assert.is_true(gap >= 0.299, "started after " .. gap)
  end)

  it("simple mode: any bad end is final, daemon repeats go on", function()
    local p = run(sh("exit 4"), {}, { "--mode", "simple" })
    assert.equal(4, (p:wait()))
    assert.equal(1, #p:events("process_started"))
    p = run(sh("exit 0"), { EXECUTION_MODE = "daemon" }, { "--mode", "simple" })
    p:wait_event("process_started", { nth = 3 })
    p:kill("TERM")
    p:wait()
  end)

  it("holds after a final failure when asked to, until it is stopped", function()
    local p = run(sh("exit 5"), { RESTART_POLICY = "no", ON_FAILURE = "hold" })
    p:wait_event("failure_detected")
    h.wait_for(function()
      local _, out = h.ask(p, "status", "--json")
      return out:find('"state": "FAILED"', 1, true)
    end, 10, "state FAILED")
    assert.is_false(p:ended())
    p:kill("TERM")
    assert.equal(5, (p:wait()))
  end)
end)

describe("memory", function()
  it("an end for want of it is told as such, and its code is 137", function()
    local group = ("/sys/fs/cgroup/memory/tend-test-oom-%d"):format(h.native.getpid())
    if not h.root or not os.execute("mkdir " .. group .. " 2>/dev/null") then
      return pending("needs root and cgroup v1 with memory")
    end
    finally(function() h.wait_for(function() return os.execute("rmdir " .. group .. " 2>/dev/null") end, 10, "an empty group") end)
    h.write(group .. "/memory.limit_in_bytes", tostring(48 << 20))
    local logs = h.tempdir()
    local p = h.start {
      argv = { "/bin/sh", "-c", ("echo $$ > %s/cgroup.procs && exec %s run --flow-name plain -- perl -e 'my @a; push @a, \"x\" x 1e6 while 1'")
        :format(group, h.tend) },
      env = { CONTAINER_ENVIRONMENT = "test", CONTAINER_STATE_DIR = h.tempdir() .. "/s", CONTAINER_LOG_DIR = logs,
              CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1, CONTAINER_RESTART_POLICY = "no" },
    }
    assert.equal(137, (p:wait(30)), p.err)
    local d = p:events("process_exited")[1].details
    assert.equal("oom", d.reason)
    assert.is_true(d.oom)
    assert.equal("workload", last(p).exit_source)
    local report = cjson.decode(h.read(logs .. "/plain_lifecycle_metrics.json"))
    assert.equal("oom", report.exits[1].cause)
    assert.equal("signal KILL (out of memory)", report.exits[1].text)
    p:close()
  end)
end)
