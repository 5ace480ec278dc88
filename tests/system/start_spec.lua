-- The start: validation, dependencies, bad input (contract 2, 3).
local h = require "harness"

local function flow(text, name)
  local dir = h.tempdir()
  h.write(dir .. "/" .. (name or "some") .. ".lua", text)
  return dir
end

local simple = 'return { name = "some", mode = "single", processes = { main = { command = { "echo", "ran" } } }%s }'

local function run(o)
  local args = { "run", "--flow-name", o.flow or "some", "--flows", o.flows }
  for _, a in ipairs(o.args or {}) do args[#args + 1] = a end
  return h.spawn { args = args, env = o.env, uid = o.uid, dir = o.dir }
end

-- ends with the code, has started nothing, and tells these texts in one validation_completed
local function fails(p, code, ...)
  assert.equal(code, (p:wait()), p.err)
  assert.equal(0, #p:events("process_started"))
  assert.is_nil(p.out:find("ran"))
  local told = p:events("validation_completed")
  assert.equal(1, #told, p.err)
  assert.equal("CRITICAL", told[1].level)
  for _, text in ipairs { ... } do
    assert.truthy(told[1].message:find(text, 1, true), ("%q is not in: %s"):format(text, told[1].message))
  end
  local last = p:events("shutdown_completed")[1].details
  assert.equal(code, last.exit_code)
  assert.equal("engine", last.exit_source)
  return told[1].details.failures
end

describe("validation", function()
  local dir
  setup(function() dir = flow(simple:format("")) end)

  it("passes, and main runs", function()
    local p = run { flows = dir }
    assert.equal(0, (p:wait()))
    assert.equal("ran\n", p.out)
    assert.equal(6, p:events("startup_completed")[1].details.validation_checks)
    assert.equal("INFO", p:events("validation_completed")[1].level)
  end)

  it("misses the environment", function()
    fails(run { flows = dir, env = { CONTAINER_ENVIRONMENT = false } }, 78, "CONTAINER_ENVIRONMENT")
  end)

  it("sees two flow names that differ", function()
    fails(run { flows = dir, env = { CONTAINER_FLOW_NAME = "other" } }, 78, "CONTAINER_FLOW_NAME", "other")
  end)

  it("refuses a flow name that is none, also one with a path in it", function()
    for _, name in ipairs { "Upper", "../some", "a b", ("x"):rep(64), "-x" } do
      fails(run { flows = dir, flow = name }, 78, "CONTAINER_FLOW_NAME")
    end
  end)

  it("tells all wrong settings at once, with source and what is allowed, no secret", function()
    local failures = fails(run { flows = dir, env = {
      CONTAINER_MAX_RESTART_ATTEMPTS = "many", CONTAINER_RESTART_DELAY_SECONDS = "-3", CONTAINER_RESTART_POLICY = "onfailure",
      CONTAINER_EXECUTION_MODE = "deamon", CONTAINER_HTTP_TOKEN = "tokensecret", CONTAINER_HTTP_TOKEN_FILE = "/dev/null",
    } }, 78, "CONTAINER_MAX_RESTART_ATTEMPTS", '"many"', "CONTAINER_RESTART_DELAY_SECONDS", "CONTAINER_RESTART_POLICY",
      "on-failure", "CONTAINER_EXECUTION_MODE", "CONTAINER_HTTP_TOKEN")
    assert.equal(5, #failures)
    for _, f in ipairs(failures) do
      assert.truthy(f.name and f.source and f.allowed and f.fix)
    end
  end)

  it("never prints a secret", function()
    local p = run { flows = dir, env = {
      CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:hunter2secret@h/db", CONTAINER_MAX_RESTART_ATTEMPTS = "x",
      CONTAINER_LOG_LEVEL = "DEBUG",
    } }
    p:wait()
    assert.is_nil((p.out .. p.err):find("hunter2", 1, true))
  end)

  it("warns of a misspelt setting by the right name, and goes on", function()
    local p = run { flows = dir, env = { CONTAINER_RESTART_DELY_SECONDS = 1 } }
    assert.equal(0, (p:wait()))
    local e = p:wait_event("validation_completed")
    assert.equal("WARNING", e.level)
    assert.truthy(e.message:find("CONTAINER_RESTART_DELAY_SECONDS", 1, true))
  end)

  it("makes missing directories, and fails where it cannot", function()
    local base = h.tempdir()
    local p = run { flows = dir, env = { CONTAINER_DATA_DIR = base .. "/a/b/c" } }
    assert.equal(0, (p:wait()))
    assert.is_true(h.exists(base .. "/a/b/c"))
    h.write(base .. "/file", "x")
    p = run { flows = dir, env = { CONTAINER_DATA_DIR = base .. "/file/x", CONTAINER_RESTART_POLICY = "no" } }
    fails(p, 73, base .. "/file/x")
  end)

  it("fails at once without permission", function()
    if not h.root then return pending("needs root, to become somebody else") end
    local base = h.tempdir()
    h.sh("chmod 700 " .. base)
    local open = h.tempdir()
    h.sh(("chmod -R a+rX %s; chmod 777 %s"):format(dir, open))
    fails(run { flows = dir, uid = 65534, dir = open, env = { CONTAINER_DATA_DIR = base .. "/x" } }, 73, base .. "/x")
  end)

  it("disk space below the minimum follows the policy, then 75", function()
    local p = run { flows = dir, env = {
      CONTAINER_MIN_FREE_DISK_MB = 1 << 39, CONTAINER_LOW_FREE_DISK_MB = 1 << 39, CONTAINER_RESTART_DELAY_SECONDS = "1ms",
      CONTAINER_MAX_RESTART_ATTEMPTS = 2,
    } }
    assert.equal(75, (p:wait()))
    assert.equal(2, #p:events("restart_initiated"))
    assert.equal(0, #p:events("process_started"))
    assert.truthy(p:events("validation_completed")[1].message:find("CONTAINER_MIN_FREE_DISK_MB", 1, true))
  end)

  it("a memory limit of the container below the need fails with 75 at once", function()
    local group = ("/sys/fs/cgroup/memory/tend-test-%d"):format(h.native.getpid())
    if not h.root or not os.execute("mkdir " .. group .. " 2>/dev/null") then
      return pending("needs root and cgroup v1 with memory")
    end
    finally(function() os.execute("rmdir " .. group) end)
    h.write(group .. "/memory.limit_in_bytes", tostring(256 << 20))
    local need = flow(simple:format(", resources = { memory_mb = 512 }"))
    local p = assert(h.start {
      argv = { "/bin/sh", "-c", ("echo $$ > %s/cgroup.procs && exec %s run --flow-name some --flows %s"):format(group, h.tend, need) },
      env = { CONTAINER_ENVIRONMENT = "test", CONTAINER_STATE_DIR = h.tempdir() .. "/s", CONTAINER_LOG_DIR = h.tempdir(),
              CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1, CONTAINER_HTTP_ADDRESS = "off" },
    })
    fails(p, 75, "512", "256")
  end)
end)

describe("flow files", function()
  local cases = {
    { "a syntax error", "return {\n  name = \"some\",\n  processes = = {},\n}\n", "some.lua:3" },
    { "a number", "return 7\n", "some.lua" },
    { "nothing", "local x = 1\n", "some.lua" },
    { "binary garbage", ("\27Lua\0\255\1\2"):rep(100), "some.lua" },
    { "a loop at top level", "while true do end\n", "some.lua" },
    { "an endless string", "local s = 'x' while true do s = s .. s end\n", "some.lua" },
    { "10 MB", "--" .. ("x"):rep(10 << 20) .. "\nreturn {}\n", "some.lua" },
    { "an error raised", "local t = nil\nlocal x = t.y\n", "some.lua:2" },
    { "a missing module", "require 'policies.nowhere'\n", "policies.nowhere" },
    { "a misspelt global", "setings.declare {}\nreturn {}\n", "some.lua:1" },
    { "an unknown key", 'return {\n  processes = { main = {\n    comand = { "echo", "ran" } } } }\n', "processes.main.comand" },
    { "a wrong type", simple:format(',\n dependencies = { { name = "x", kind = "tcp", params = { host = "h", port = 1 }, timeout = "abc" } }'), "some.lua:2" },
    { "an unknown check kind", simple:format(', dependencies = { { name = "x", kind = "tpc", params = {} } }'), "tpc" },
    { "a cycle", 'return { processes = { main = { command = { "echo", "ran" }, after = { "b" } }, b = { command = { "b" }, after = { "main" } } } }', "after" },
    { "no process", "return { name = 'some' }\n", "processes" },
  }
  for _, case in ipairs(cases) do
    it("refuses " .. case[1], function()
      fails(run { flows = flow(case[2]) }, 78, case[3])
    end)
  end

  it("refuses a directory, a FIFO and a file that cannot be read", function()
    local dir = h.tempdir()
    h.sh(("mkdir %s/some.lua; mkfifo %s/pipe.lua"):format(dir, dir))
    fails(run { flows = dir }, 78, "some.lua")
    fails(run { flows = dir, flow = "pipe" }, 78, "pipe.lua")
  end)

  it("names the nearest flow when there is none of that name", function()
    fails(run { flows = flow(simple:format("")), flow = "somme" }, 78, "somme", '"some"')
  end)
end)

describe("dependencies", function()
  local function needs(port, more)
    return flow(simple:format((', dependencies = { { name = "service", kind = "tcp", params = { host = "127.0.0.1", port = %d }, interval = 0.02, %s } }')
      :format(port, more or "")))
  end

  it("one that is there starts main", function()
    local p = run { flows = needs(h.listen().port) }
    assert.equal(0, (p:wait()))
    assert.equal("service", p:events("dependency_ready")[1].details.name)
    assert.equal(1, p:events("startup_completed")[1].details.dependencies_checked)
    assert.equal("health_check", p:events("health_check")[1].event)
  end)

  it("one that comes later is waited for", function()
    local port = h.free_port()
    local p = run { flows = needs(port, "timeout = 60") }
    p:wait_event("dependency_waiting")
    assert.equal(0, #p:events("process_started"))
    h.listen(port)
    assert.equal(0, (p:wait()))
    assert.equal("ran\n", p.out)
  end)

  it("a required one that stays away: restarts by the policy, then 69, its reason told", function()
    local p = run { flows = needs(h.free_port(), "timeout = 0.1"),
      env = { CONTAINER_MAX_RESTART_ATTEMPTS = 2, CONTAINER_RESTART_DELAY_SECONDS = "1ms" } }
    assert.equal(69, (p:wait()))
    local e = p:events("dependency_failed")[1]
    assert.equal("ERROR", e.level)
    assert.equal("refused", e.details.reason)
    assert.equal(2, #p:events("restart_initiated"))
    assert.equal(0, #p:events("process_started"))
    assert.equal("engine", p:events("shutdown_completed")[1].details.exit_source)
  end)

  it("the wait for a restart ends when the dependency is back", function()
    local port = h.free_port()
    local p = run { flows = needs(port, "timeout = 0.1"), env = { CONTAINER_RESTART_DELAY_SECONDS = 600, CONTAINER_MAX_RESTART_DELAY_SECONDS = 600 } }
    p:wait_event("restart_initiated")
    h.listen(port)
    assert.equal(0, (p:wait()))
    assert.equal("ran\n", p.out)
  end)

  it("an optional one that fails is a warning", function()
    local p = run { flows = needs(h.free_port(), "timeout = 0.1, required = false") }
    assert.equal(0, (p:wait()))
    assert.equal("WARNING", p:events("dependency_failed")[1].level)
    assert.equal("degraded", p:events("startup_completed")[1].details.health_status)
  end)

  it("a plain function is one: it may sleep, fail, raise, and run for ever without hurting others", function()
    local dir = flow(simple:format([[, dependencies = {
      { name = "slow", check = function() timer.sleep(0.05) return true end },
      { name = "later", interval = 0.01, check = (function() local n = 0 return function() n = n + 1 return n > 2, "not now" end end)() },
      { name = "broken", required = false, timeout = 0.1, check = function() error("boom") end },
      { name = "loops", required = false, timeout = 0.2, check = function() while true do end end },
    }]]))
    local p = run { flows = dir }
    assert.equal(0, (p:wait(30)))
    assert.equal("ran\n", p.out)
    local ready = {}
    for _, e in ipairs(p:events("dependency_ready")) do ready[e.details.name] = e.details.attempts end
    assert.equal(1, ready.slow)
    assert.equal(3, ready.later)
    local failed = {}
    for _, e in ipairs(p:events("dependency_failed")) do failed[e.details.name] = true end
    assert.same({ broken = true, loops = true }, failed)
  end)

  it("the specification's own calls work", function()
    local dir = flow([[
      lifecycle.add_dependency_check { name = "custom_service", check_function = function() return true end,
        timeout_seconds = 30, required = true, description = "Custom service dependency" }
      lifecycle.add_cleanup_handler(function() log.info("Performing custom cleanup") end)
    ]] .. simple:format(""))
    local p = run { flows = dir }
    assert.equal(0, (p:wait()))
    assert.equal("custom_service", p:events("dependency_ready")[1].details.name)
    assert.truthy(p.err:find("Performing custom cleanup", 1, true))
  end)
end)
