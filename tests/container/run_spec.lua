-- The image as a container's first process: users, limits, stops, exit codes, health, logs.
local box = require "box"
local h = require "harness"
local cjson = require "cjson"

local HARD = { "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges" }

local function with(...)
  local list = { table.unpack(HARD) }
  for _, w in ipairs { ... } do list[#list + 1] = w end
  return list
end

local SLEEP = { "run", "--", "sleep", "1000" }

describe("a container", function()
  it("has tend as process 1 and its exit code is the workload's", function()
    local code, out = box.run_to_end { args = { "run", "--", "sh", "-c", "cat /proc/1/comm; exit 42" }, env = { CONTAINER_RESTART_POLICY = "no" } }
    assert.equal(42, code)
    assert.truthy(out:find("tend\n", 1, true))
  end)

  it("ends with 128 + N, 126, 127, 78 and 64 as told", function()
    local function code_of(...)
      return (box.run_to_end { args = { ... }, env = { CONTAINER_RESTART_POLICY = "no" } })
    end
    assert.equal(137, code_of("run", "--", "sh", "-c", "kill -9 $$"))
    assert.equal(127, code_of("run", "--", "/no/such"))
    assert.equal(126, code_of("run", "--", "/etc/passwd"))
    assert.equal(78, code_of("run", "--flow-name", "none-of-that-name"))
    assert.equal(64, code_of("runn"))
  end)

  it("stops in good order on docker stop", function()
    local c = box.run { args = { "run", "--", "sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 1 & wait $!; done" } }
    c:wait_line("up")
    local code, seconds = c:stop(30)
    assert.equal(0, code)
    assert.is_true(seconds < 5 * h.slow, seconds)
    assert.equal(0, c:wait())
    assert.truthy(c.out:find("bye\n", 1, true))
    assert.is_true(c:wait_event("shutdown_completed").details.graceful)
  end)

  it("writes its report before it is gone", function()
    local dir = h.tempdir()
    h.sh("chmod 777 " .. h.quote(dir))
    local c = box.run { args = { "run", "--flow-name", "demo" }, options = with("-v", dir .. ":/app/logs") }
    c:wait_event("startup_completed")
    c:stop(30)
    assert.equal(0, c:wait())
    local report = h.read(dir .. "/demo_lifecycle_metrics.json")
    assert.truthy(report)
    assert.equal("demo", cjson.decode(report).container_info.flow)
    assert.truthy(h.read(dir .. "/events.jsonl"):find('"event": "shutdown_completed"', 1, true))
  end)

  it("ends with 137 where the workload had to be killed, within the time", function()
    local c = box.run { args = { "run", "--", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done" }, env = { CONTAINER_SHUTDOWN_TIMEOUT_SECONDS = "2" } }
    c:wait_line("up")
    local _, seconds = c:stop(10)
    assert.equal(137, c:wait())
    assert.is_true(seconds < 4 * h.slow, seconds)
    assert.is_false(c:wait_event("shutdown_completed").details.graceful)
  end)

  it("obeys docker kill with a signal: forwarded, at once, for good", function()
    local c = box.run { args = { "run", "--", "sh", "-c", "trap 'echo one' USR1; echo up; while :; do sleep 0.1; done" } }
    c:wait_line("up")
    c:kill("USR1")
    c:wait_line("one")
    c:kill("QUIT")
    assert.equal(137, c:wait(5))
    c = box.run { args = SLEEP }
    c:wait_event("startup_completed")
    c:kill("KILL")
    assert.equal(137, c:wait(5))
  end)

  it("ends in order when it is stopped while it starts", function()
    for _, env in ipairs { {}, { CONTAINER_PREFECT_API_URL = "http://192.0.2.1/api" } } do
      env.CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:p@192.0.2.1/d"
      env.CONTAINER_RPA2_VALIDATION_ENDPOINT = nil
      local c = box.run { args = { "run", "--flow-name", "rpa2" }, env = env }
      c:stop(10)
      assert.equal(0, c:wait())
      assert.equal(1, #c:events("shutdown_completed"))
    end
  end)
end)

describe("a container with nothing to write to", function()
  for _, user in ipairs { "", "10001", "12345:0", "12345:12345", "2147483647:2147483647" } do
    it("runs, is healthy and stops as user " .. (user == "" and "of the image" or user), function()
      local options = with()
      if user ~= "" then options = with("--user", user) end
      local c = box.run { args = { "run", "--", "sh", "-c", "echo $(id -u):$(id -g); grep -E 'NoNewPrivs|CapEff' /proc/self/status; exec sleep 1000" }, options = options }
      c:wait_event("startup_completed")
      c:wait_line("NoNewPrivs:\t1")
      c:wait_line("CapEff:\t0000000000000000")
      c:wait_line((user == "" or user == "10001") and "10001:10001" or user)
      local code, out, err = c:exec("tend", "health")
      assert.equal("0", code .. (code == 0 and "" or out .. err))
      assert.equal(0, (c:exec("tend", "status")))
      assert.equal(0, (box.podman { "healthcheck", "run", c.name }))
      assert.equal("healthy", c:inspect("{{.State.Healthcheck.Status}}"))
      c:stop(30)
      c:wait()
      assert.is_true(c:wait_event("shutdown_completed").details.graceful)
    end)
  end

  it("goes on without a state directory where there is no /dev/shm either", function()
    local c = box.run { args = SLEEP, options = with("--ipc", "none") }
    c:wait_event("startup_completed")
    assert.truthy(c.out:find("no state directory", 1, true))
    local code, _, err = c:exec("tend", "health")
    assert.equal(69, code)
    assert.truthy(err:find("no engine is reachable", 1, true))
    c:stop(10)
    c:wait()
    assert.is_true(c:wait_event("shutdown_completed").details.graceful)
  end)
end)

describe("a container whose rules forbid calls", function()
  it("does without those that are new or often forbidden", function()
    for _, errno in ipairs { 1, 38 } do
      local profile = box.get().dir .. "/seccomp.json"
      local logs = h.tempdir()
      h.native.chown(logs, 10001, 10001)
      h.write(profile, cjson.encode {
        defaultAction = "SCMP_ACT_ALLOW",
        syscalls = { { action = "SCMP_ACT_ERRNO", errnoRet = errno, names = { "memfd_create", "close_range", "pwritev2", "clone3", "pidfd_open",
          "pidfd_send_signal", "statx", "faccessat2", "openat2", "timerfd_create", "inotify_init1", "getrandom" } } },
      })
      local c = box.run { args = { "run", "--", "sh", "-c", "echo up; exec sleep 1000" }, options = with("--security-opt", "seccomp=" .. profile, "-v", logs .. ":/app/logs"),
        env = { CONTAINER_LOG_DIR = "/app/logs" } }
      c:wait_line "up"
      assert.equal(0, (c:exec("tend", "health")))
      assert.equal("up\n", select(2, c:exec("tend", "logs", "main")))
      c:stop(10)
      c:wait()
      assert.is_true(c:wait_event("shutdown_completed").details.graceful)
    end
  end)
end)

describe("a command line for a container", function()
  it("that is meant for a shell gets to know how", function()
    local code, out, err = box.podman { "run", "--rm", "--network", "none", "tend:latest", "sh", "-c", "echo hi" }
    assert.equal(64, code)
    assert.equal("", out)
    assert.truthy(err:find("tend run -- sh", 1, true), err)
  end)
end)

describe("limits of the container", function()
  local function resources(options, env)
    env.CONTAINER_RESTART_POLICY = "no"
    local code, out = box.run_to_end { args = { "run", "--", "true" }, options = options, env = env }
    return code, out
  end

  it("are seen by validation, which fails below what the flow needs", function()
    local code, out = resources({ "--memory", "64m", "--memory-swap", "64m" }, { CONTAINER_MAX_MEMORY_MB = "128" })
    if code == 0 then return pending("the container has no memory limit here") end
    assert.equal(75, code)
    local failed
    for line in out:gmatch("[^\n]+") do
      local event = cjson.decode(line)
      if event.event == "validation_completed" then failed = event.details.failures[1] end
    end
    assert.equal("CONTAINER_MAX_MEMORY_MB", failed.name)
    assert.equal(0, (resources({ "--memory", "256m" }, { CONTAINER_MAX_MEMORY_MB = "128" })))
    assert.equal(75, (resources({ "--cpus", "0.3" }, { CONTAINER_MAX_CPU_PERCENT = "50" })))
    assert.equal(0, (resources({ "--cpus", "0.6" }, { CONTAINER_MAX_CPU_PERCENT = "50" })))
  end)

  it("kill a workload that needs more memory, and that is told", function()
    local c = box.run {
      args = { "run", "--", "sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done" }, env = { CONTAINER_RESTART_POLICY = "no" },
      options = { "--memory", "64m", "--memory-swap", "64m" },
    }
    assert.equal(137, c:wait(30))
    assert.is_true(c:wait_event("process_exited").details.oom)
  end)
end)

describe("health", function()
  it("is no while the container starts, yes when it runs, no when it failed", function()
    local c = box.run { args = { "run", "--flow-name", "rpa2" },
      env = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:p@127.0.0.1:1/d", CONTAINER_DEPENDENCY_RETRY_SECONDS = "1" } }
    c:wait_event("dependency_waiting")
    assert.equal(1, (box.podman { "healthcheck", "run", c.name }))
    assert.equal(1, (c:exec("tend", "health")))
    c:stop(10)
    c = box.run { args = { "run", "--", "false" }, env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_ON_FAILURE = "hold" } }
    c:wait_event("failure_detected")
    assert.equal(1, (c:exec("tend", "health")))
    assert.truthy(select(2, c:exec("tend", "why")):find("exit code 1", 1, true))
    c:stop(10)
  end)
end)

describe("the log", function()
  it("is on standard output, so that docker logs NAME | grep finds it", function()
    local c = box.run { args = { "run", "--", "sh", "-c", "echo out; echo err >&2; sleep 0.2; exit 3" },
      env = { CONTAINER_RESTART_DELAY_SECONDS = "100ms", CONTAINER_MAX_RESTART_ATTEMPTS = "2" } }
    assert.equal(3, c:wait())
    for pattern, least in pairs {
      ['"component": "lifecycle_manager"'] = 6, ['"event": "health_check"'] = 1, ['"event": "restart_initiated"'] = 2,
    } do
      local out, code = box.sh(("docker logs %s 2>/dev/null | grep '%s'"):format(c.name, pattern))
      assert.equal(0, code, pattern)
      local n = select(2, out:gsub("\n", ""))
      assert.is_true(n >= least, pattern .. ": " .. out)
      assert.equal("", (box.sh(("docker logs %s 2>&1 >/dev/null | grep '%s'"):format(c.name, pattern))))
    end
    assert.equal("err\nerr\nerr\n", c.err) -- the workload's standard error, and nothing of tend's
    assert.equal(3, select(2, c.out:gsub("%f[%w]out\n", "")))
  end)
end)
