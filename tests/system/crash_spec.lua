-- The engine dies: a new one goes on where it was, at whatever it was doing, and the workload does not notice.
local cjson = require "cjson"
local h = require "harness"
local crashing = require "crashing"
local control = require "control"

local function sh(script, o)
  o = o or {}
  o.args = { "run", "--", "sh", "-c", script }
  o.env = o.env or {}
  o.env.CONTAINER_RESTART_POLICY = o.env.CONTAINER_RESTART_POLICY or "no"
  return h.spawn(o)
end

local function flow(text, o)
  o = o or {}
  local dir = h.tempdir()
  h.sh("mkdir " .. dir .. "/flows")
  h.write(dir .. "/flows/f.lua", text)
  o.args = { "run", "--flow-name", "f", "--flows", dir .. "/flows" }
  local p = h.spawn(o)
  p.flows = dir .. "/flows"
  return p
end

local function status(p)
  local code, out, err = h.ask(p, "status", "--json")
  assert.equal(0, code, err)
  return cjson.decode(out)
end

local function main(p) return status(p).processes[1] end

local function report(p, name)
  return cjson.decode(h.read(("%s/%s_lifecycle_metrics.json"):format(p.env.CONTAINER_LOG_DIR, name or "default")))
end

-- main says lines until the file "end" is there
local function counting(o)
  local dir = h.tempdir()
  local p = sh(crashing.counter(("[ -e %s/end ] && exit ${CODE:-7};"):format(dir)), o)
  p:wait_event("startup_completed")
  p:wait_line("line 5")
  function p.finish() h.write(dir .. "/end", "") end
  return p
end

it("answers who asked while there was no engine", function()
  local p = counting()
  local engine = crashing.engine(p)
  h.native.kill(engine, h.signals.STOP)
  h.wait_for(function() return h.stat(engine).state == "T" end, 5, "an engine that stands still")
  local early = control.connect(p)
  local id = early:send "status"
  crashing.kill(p)
  assert.equal("RUNNING", early:answer(id).value.state)
  h.sh("rm " .. h.quote(control.path(p)))
  crashing.kill(p)
  assert.equal("RUNNING", status(p).state) -- on a socket made anew
end)

for _, pid1 in ipairs { false, true } do
  describe(pid1 and "as PID 1" or "as an ordinary process", function()
    it("goes on while main runs: same pid, no line lost, counts and exit code right", function()
      local p = counting { pid1 = pid1 }
      local before = main(p)
      local event = crashing.kill(p)
      assert.equal("signal", event.details.cause)
      assert.equal("KILL", event.details.signal)
      local after = main(p)
      assert.equal(before.pid, after.pid)
      assert.equal(before.since, after.since)
      assert.equal("RUNNING", status(p).state)
      crashing.kill(p)
      assert.equal(before.pid, main(p).pid)
      p:finish()
      assert.equal(7, (p:wait()), p.err)
      assert.is_true(crashing.lines(p) > 5)
      assert.equal(1, #p:events("startup_initiated"))
      assert.equal(1, #p:events("startup_completed"))
      assert.equal(1, report(p).metrics.startup_count)
      assert.equal(7, report(p).exit.code)
      assert.same({}, h.orphans())
    end)

    it("hears of an end that nobody was told", function()
      local p = counting { pid1 = pid1 }
      local engine = crashing.engine(p)
      h.native.kill(engine, h.signals.STOP)
      local pid = p:children()[pid1 and 2 or 3]
      p:finish()
      h.wait_for(function() return not h.stat(pid) or h.stat(pid).state == "Z" end, 5, "the end of main")
      h.native.kill(engine, h.signals.KILL)
      assert.equal(7, (p:wait()), p.err)
      assert.equal(1, #p:events("process_exited"))
      assert.equal(7, p:events("process_exited")[1].details.exit_code)
    end)

    it("finishes a stop that was asked for while there was no engine", function()
      local p = counting { pid1 = pid1 }
      local engine = crashing.engine(p)
      h.native.kill(engine, h.signals.STOP)
      p:kill("TERM")
      h.native.kill(engine, h.signals.KILL)
      assert.equal(143, (p:wait()), p.err)
      assert.equal("signal", p:events("shutdown_completed")[1].details.cause)
      assert.is_true(p:events("shutdown_completed")[1].details.graceful)
      assert.equal(143, report(p).exit.code)
    end)
  end)
end

describe("the engine dies", function()
  it("while it waits for a dependency", function()
    local dir = h.tempdir()
    local p = flow(([[return { name = "f", mode = "server",
      processes = { main = { command = { "sh", "-c", "echo up; exec sleep 1000" } } },
      dependencies = { { name = "file", interval = 0.05, kind = "file", params = { path = "%s/ready" } } } }]]):format(dir))
    p:wait_event("dependency_waiting")
    crashing.kill(p)
    assert.equal("STARTING", status(p).state)
    h.write(dir .. "/ready", "")
    p:wait_event("startup_completed")
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err)
    assert.equal(1, report(p, "f").metrics.startup_count)
    assert.equal(1, report(p, "f").metrics.successful_startups)
  end)

  it("in the delay before a restart", function()
    local p = sh("echo run; exit 3", { env = {
      CONTAINER_EXECUTION_MODE = "server", CONTAINER_RESTART_POLICY = "on-failure", CONTAINER_RESTART_DELAY_SECONDS = "1", CONTAINER_MAX_RESTART_ATTEMPTS = "2",
    } })
    p:wait_event("restart_initiated")
    crashing.kill(p)
    assert.equal("RESTARTING", status(p).state)
    assert.equal("backoff", main(p).state)
    assert.equal(3, main(p).last_exit.code)
    assert.equal(3, (p:wait()), p.err)
    local restarts = p:events("restart_initiated")
    assert.equal(2, #restarts)
    assert.equal(2, restarts[2].details.attempt)
    assert.equal(2, restarts[2].details.in_window)
    assert.equal(2, report(p).metrics.restart_count)
    local _, runs = p.out:gsub("run", "")
    assert.equal(3, runs)
  end)

  it("in a cleanup handler", function()
    local p = flow [[return { name = "f", mode = "server",
      processes = { main = { command = { "sh", "-c", "echo up; exec sleep 1000" } } },
      cleanup = { { name = "second", run = function() log.info "second" end },
                  { name = "first", run = function() log.info "first"; timer.sleep(0.5) end } } }]]
    p:wait_event("startup_completed")
    p:kill("TERM")
    p:wait_event("message", { where = function(e) return e.message == "first" end })
    crashing.kill(p)
    assert.equal(0, (p:wait()), p.err)
    assert.equal(2, #p:events("cleanup_completed"))
    assert.equal("second", p:events("cleanup_completed")[2].details.name)
    assert.is_true(p:events("shutdown_completed")[1].details.graceful)
    assert.equal(1, report(p, "f").metrics.graceful_shutdowns)
  end)

  it("with what the checks have found, although they do not run again for now", function()
    local p = flow [[
return {
  name = "f", mode = "server",
  processes = { main = { "sleep", "1000" } },
  checks = {
    { name = "bad", kind = "file", params = { path = "/nowhere" }, interval = 600, fast_interval = 0.1, failures = 3, timeout = 1 },
    { name = "good", kind = "file", params = { path = "/bin/sh" }, interval = 600, timeout = 1 },
  },
}
]]
    p:wait_event("failure_detected")
    h.wait_for(function() return status(p).checks[2].last == "ok" end, 5, "the good one")
    local before = status(p).checks
    assert.equal("unhealthy", before[1].status)
    assert.equal("missing", before[1].reason)
    assert.equal(3, #before[1].history)
    local last
    for _ = 1, 2 do
      crashing.kill(p)
      local after = status(p).checks
      for i, c in ipairs(before) do
        for _, key in ipairs { "name", "status", "reason", "detail", "attempts", "failures", "last", "failed" } do
          assert.equal(c[key], after[i][key], key)
        end
        assert.equal(#c.history, #after[i].history)
        for k, run in ipairs(c.history) do
          assert.equal(run[2], after[i].history[k][2])
          assert.is_true(math.abs(run[1] - after[i].history[k][1]) < 0.1)
        end
      end
      last = after
    end
    assert.equal("healthy", last[2].status)
    p:kill("TERM")
    p:wait()
  end)

  it("while an operator has stopped everything", function()
    local p = counting()
    assert.equal(0, (h.ask(p, "stop")))
    crashing.kill(p)
    assert.equal("STOPPED", status(p).state)
    assert.equal(0, (h.ask(p, "start")))
    assert.equal("RUNNING", status(p).state)
    p:kill("TERM")
    p:wait()
  end)

  it("while a failure is held", function()
    local p = sh("exit 5", { env = { CONTAINER_ON_FAILURE = "hold", CONTAINER_RESTART_POLICY = "no" } })
    p:wait_event("failure_detected")
    crashing.kill(p)
    assert.equal("FAILED", status(p).state)
    p:kill("TERM")
    assert.equal(5, (p:wait()), p.err)
  end)

  it("and nobody who follows the events misses one", function()
    local p = counting()
    local follow = h.spawn { args = { "events", "--follow", "--json" }, dir = p.dir, env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR } }
    follow:wait_line("startup_completed")
    crashing.kill(p)
    follow:wait_line("engine_restarted")
    p:finish()
    follow:wait_line("process_exited")
    p:wait()
    follow:wait()
    local _, n = follow.out:gsub('"startup_completed"', "")
    assert.equal(1, n)
  end)

  it("at any moment, again and again", function()
    for seed = 1, 6 do
      math.randomseed(seed)
      local p = counting { env = { CODE = "0", CONTAINER_EXECUTION_MODE = "daemon", CONTAINER_EXECUTION_INTERVAL = "0.05" } }
      for _ = 1, 2 do
        crashing.kill(p)
        h.native.poll({}, math.random(50))
      end
      assert.equal("RUNNING", status(p).state)
      p:kill("TERM")
      assert.equal(0, (p:wait()), p.err)
      assert.equal(1, report(p).metrics.startup_count)
      assert.is_true(crashing.lines(p) > 4)
    end
  end)
end)
