-- Stopping: at every state, once, twice, three times, with workloads that do not want to (contract 4, 5).
local h = require "harness"
local cjson = require "cjson"

local function run(script, settings, o)
  local env = { CONTAINER_EXECUTION_MODE = "server", CONTAINER_RESTART_DELAY_SECONDS = 600, CONTAINER_MAX_RESTART_DELAY_SECONDS = 600 }
  for k, v in pairs(settings or {}) do env["CONTAINER_" .. k] = v end
  local all = { args = { "run", "--flow-name", "plain", "--", "sh", "-c", script }, env = env }
  for k, v in pairs(o or {}) do all[k] = v end
  return h.spawn(all)
end

-- ready: says so once its traps are set
local function ready(p) p:wait_line("^ready$") end

local function last(p) return p:events("shutdown_completed")[1].details end

describe("TERM", function()
  it("ends a server that obeys with 0, gracefully, by its stop signal", function()
    local p = run("exec sleep 1000")
    p:wait_event("startup_completed")
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    assert.is_true(last(p).graceful)
    assert.equal("TERM", p:events("process_exited")[1].details.signal)
    assert.equal("signal", p:events("shutdown_initiated")[1].details.cause)
  end)

  it("gives 143 in mode single, the workload's own code where it has one", function()
    local p = run("exec sleep 1000", { EXECUTION_MODE = "single" })
    p:wait_event("startup_completed")
    p:kill("TERM")
    assert.equal(143, (p:wait()))
    p = run("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    ready(p)
    p:kill("TERM")
    assert.equal(7, (p:wait()))
  end)

  it("INT stops as TERM does", function()
    local p = run("exec sleep 1000")
    p:wait_event("startup_completed")
    p:kill("INT")
    assert.equal(0, (p:wait()))
  end)

  it("while it waits for a restart: no process follows", function()
    local p = run("exit 3")
    p:wait_event("restart_initiated")
    p:kill("TERM")
    assert.equal(3, (p:wait()))
    assert.equal(1, #p:events("process_started"))
  end)

  it("while it waits for the next run of a daemon", function()
    local p = run("echo done", { EXECUTION_MODE = "daemon", EXECUTION_INTERVAL = 600 })
    p:wait_event("process_exited")
    p:kill("TERM")
    assert.equal(0, (p:wait()))
  end)

  it("while it waits for a dependency: nothing was started, so 0, and 143 in mode single", function()
    for mode, code in pairs { server = 0, single = 143 } do
      local dir = h.tempdir()
      h.write(dir .. "/waits.lua", ([[
        return { name = "waits", mode = "%s", processes = { main = { command = { "sleep", "1000" } } },
          dependencies = { { name = "never", kind = "tcp", params = { host = "127.0.0.1", port = %d }, timeout = 600 } } }
      ]]):format(mode, h.free_port()))
      local p = h.spawn { args = { "run", "--flow-name", "waits", "--flows", dir } }
      p:wait_event("dependency_waiting")
      p:kill("TERM")
      assert.equal(code, (p:wait()))
      assert.equal(0, #p:events("process_started"))
      assert.equal(1, #p:events("shutdown_completed"))
    end
  end)

  it("in the first moment of its life", function()
    for _ = 1, 20 do
      local p = run("exec sleep 1000")
      p:kill("TERM")
      local code, signal = p:wait()
      -- before the handlers are there the signal ends it, as it ends any program
      assert.is_true(code == 0 or signal == h.signals.TERM, ("code %s, signal %s"):format(code, signal))
      assert.same({}, h.orphans())
    end
  end)

  it("a workload that ignores it is killed when its share of the time is over", function()
    local p = run("trap '' TERM; echo ready; while :; do sleep 0.05; done", { SHUTDOWN_TIMEOUT_SECONDS = 2 })
    ready(p)
    p:kill("TERM")
    assert.equal(137, (p:wait()))
    assert.is_false(last(p).graceful)
  end)

  it("reaches a stopped workload", function()
    local p = run("trap 'echo bye; exit 0' TERM; echo ready; kill -STOP $$; while :; do sleep 0.05; done")
    ready(p)
    h.wait_for(function()
      for _, pid in ipairs(p:children()) do if h.stat(pid).state == "T" then return true end end
    end, 10, "a stopped process")
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    assert.truthy(p.out:find("bye"))
  end)

  it("a second one after a second forces after two more, a third at once", function()
    local script = "trap '' TERM INT; echo ready; while :; do sleep 0.05; done"
    local p = run(script, { SHUTDOWN_TIMEOUT_SECONDS = 600 })
    ready(p)
    p:kill("TERM")
    p:wait_event("shutdown_initiated")
    p:kill("INT") -- another signal: counts at once
    assert.equal(137, (p:wait(20)))
    p = run(script, { SHUTDOWN_TIMEOUT_SECONDS = 600 })
    ready(p)
    p:kill("TERM")
    p:wait_event("shutdown_initiated")
    p:kill("INT")
    p:kill("TERM")
    assert.equal(137, (p:wait(20)))
  end)

  it("QUIT kills at once", function()
    local p = run("trap '' TERM QUIT; echo ready; while :; do sleep 0.05; done", { SHUTDOWN_TIMEOUT_SECONDS = 600 })
    ready(p)
    p:kill("QUIT")
    assert.equal(137, (p:wait(20)))
    assert.is_false(last(p).graceful)
  end)
end)

describe("what is left behind", function()
  for _, pid1 in ipairs { false, true } do
    local where = pid1 and " (as PID 1)" or ""
    it("orphans and daemons end with it" .. where, function()
      local p = run("setsid sleep 1001 & (setsid sh -c 'trap \"\" TERM; sleep 1002 & echo ready; wait; sleep 1003' &) ; exec sleep 1000",
        { SHUTDOWN_TIMEOUT_SECONDS = 3 }, { pid1 = pid1 })
      ready(p)
      p:wait_event("startup_completed")
      p:kill("TERM")
      p:wait(20)
      h.wait_for(function() return #h.orphans() == 0 end, 5, "no process left")
    end)
  end

  it("leaves as soon as nothing is left", function()
    local p = run("sleep 1000 & sleep 1001 & exec sleep 1002", { SHUTDOWN_TIMEOUT_SECONDS = 600 })
    p:wait_event("startup_completed")
    p:kill("TERM")
    assert.equal(0, (p:wait(10)))
    assert.is_true(p:events("shutdown_completed")[1].duration_ms < 10000)
  end)

  it("kill -9 of tend leaves nothing running", function()
    local p = run("sleep 1001 & setsid sleep 1002 & echo ready; exec sleep 1000")
    ready(p)
    p:kill("KILL")
    p:wait()
    h.wait_for(function() return #h.orphans() == 0 end, 10, "no process left")
  end)
end)

describe("commands", function()
  it("stop, start, restart, shutdown", function()
    local p = run("exec sleep 1000")
    p:wait_event("startup_completed")
    assert.equal(0, (h.ask(p, "restart")))
    p:wait_event("process_started", { nth = 2 })
    assert.equal("operator", p:wait_event("restart_initiated").details.cause)
    assert.equal(0, (h.ask(p, "stop")))
    local _, out = h.ask(p, "status", "--json")
    assert.truthy(out:find('"state": "STOPPED"', 1, true), out)
    assert.is_false(p:ended())
    assert.equal(0, #p:events("cleanup_completed"))
    assert.equal(0, (h.ask(p, "start")))
    p:wait_event("process_started", { nth = 3 })
    assert.equal(0, (h.ask(p, "shutdown")))
    assert.equal(0, (p:wait()))
    assert.equal("shutdown", p:events("shutdown_initiated")[1].details.cause)
    assert.equal(69, (h.ask(p, "status")))
  end)

  it("unless-stopped remembers a stop over a new start, always does not", function()
    for policy, stays in pairs { ["unless-stopped"] = true, always = false } do
      local settings = { RESTART_POLICY = policy }
      local p = run("exec sleep 1000", settings)
      p:wait_event("startup_completed")
      assert.equal(0, (h.ask(p, "stop")))
      p:kill("TERM")
      p:wait()
      local again = run("exec sleep 1000", settings, { dir = p.dir })
      if stays then
        h.wait_for(function()
          local _, out = h.ask(again, "status", "--json")
          return out:find('"state": "STOPPED"', 1, true)
        end, 10, "state STOPPED")
        local _, status = h.ask(again, "status", "--json")
        assert.equal(0, #cjson.decode(status).warnings)
        assert.equal(0, #again:events("process_started"))
        assert.equal(0, (h.ask(again, "start")))
      end
      again:wait_event("process_started")
      again:kill("TERM")
      again:wait()
    end
  end)

  it("refuses a second engine of the same flow, naming the first", function()
    local p = run("exec sleep 1000")
    p:wait_event("startup_completed")
    local second = run("exec sleep 1000", {}, { dir = p.dir })
    assert.equal(73, (second:wait()))
    assert.truthy((second.err):find("pid", 1, true) or second.err:find(tostring(p.pid), 1, true), second.err)
    assert.is_false(p:ended())
  end)
end)
