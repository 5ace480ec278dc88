-- Reloads in every state of the container.
local crashing = require "crashing"
local h = require "harness"
local R = require "reloading"

local MAIN = [[processes = { main = { command = { "sleep", "1000" } } },]]

describe("a reload while the container", function()
  it("waits for a dependency asks for the new ones", function()
    local dependency = [[dependencies = { { name = "there", kind = "file", params = { path = dir .. %q }, timeout = 1000, interval = 0.1 } },]]
    local r = R.start(MAIN .. dependency:format("/nothing"), { early = true })
    r.p:wait_event("dependency_waiting")
    h.write(r.dir .. "/something", "x")
    assert.equal("STARTING", r:status().state)
    r:rewrite(MAIN .. dependency:format("/something"))
    r.p:wait_event("startup_completed")
    assert.equal(1, #r.p:events("startup_initiated"))
    assert.equal("ok", r.p:events("dependency_ready")[1].details.name == "there" and "ok")
  end)

  it("is stopped by an operator starts nothing, until it is started", function()
    local r = R.start(MAIN)
    assert.equal(0, (h.ask(r.p, "stop")))
    r:rewrite([[processes = { main = { command = { "sleep", "2000" }, on_change = "restart" }, web = { command = { "sleep", "1000" } },
      w = { command = { "sleep", "1000" }, instances = 2 } },]])
    assert.equal("STOPPED", r:status().state)
    assert.equal("down", r:processes().web.state)
    assert.equal(1, #r.p:events("process_started"))
    assert.equal(0, (h.ask(r.p, "start")))
    r:wait_process("web", "up")
    h.wait_for(function() return #r.p:events("process_started") == 5 end, 10, "all of them")
    r:rewrite(MAIN)
    r:wait_process("web", nil)
    r:wait_process("w", nil)
    assert.equal("RUNNING", r:status().state)
  end)

  it("waits for a restart takes the new command, at once where it is to be", function()
    local r = R.start([[processes = { main = { command = { "sleep", "1000" } }, web = { command = "false", restart = { policy = "always", delay = 1000 } } },]])
    r:wait_process("web", "backoff")
    r:rewrite([[processes = { main = { command = { "sleep", "1000" } },
      web = { command = { "sleep", "1000" }, on_change = "restart", restart = { policy = "always", delay = 1000 } } },]])
    r:wait_process("web", "up")
  end)

  it("is held after a failure lets it be started anew", function()
    local r = R.start([[processes = { main = { command = { "sh", "-c", "exit 3" }, restart = "no" } },]],
      { env = { CONTAINER_ON_FAILURE = "hold" }, early = true })
    r.p:wait_event("failure_detected")
    h.wait_for(function() return r:status().state == "FAILED" end, 10, "FAILED")
    r:rewrite(MAIN)
    assert.equal("FAILED", r:status().state)
    assert.equal(0, (h.ask(r.p, "start")))
    assert.equal("RUNNING", r:status().state)
  end)

  it("is being stopped is refused", function()
    local r = R.start([[processes = { main = { command = { "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done" } } },]])
    r.p:kill("TERM")
    r.p:wait_event("shutdown_initiated")
    local code, err = r:reload()
    assert.equal(1, code)
    assert.truthy(err:find("tend is ending", 1, true), err)
    r.p:kill("QUIT")
    r.p:wait()
  end)

  it("has a start-up check under way goes on with it, or with the new one", function()
    local body = [[processes = { main = { command = { "sleep", "1000" } }, web = { command = { "sleep", "1000" },
      startup = { kind = "file", params = { path = dir .. %q }, interval = 0.1 } } },]]
    local r = R.start(body:format("/up"))
    r:wait_process("web", "starting")
    r:rewrite(body:format("/up") .. "summary = 'x', cleanup = { { name = 'c', run = function() end } },")
    h.write(r.dir .. "/up", "x")
    r:wait_process("web", "up")
    assert.equal(0, (h.ask(r.p, "restart", "web")))
    r:rewrite(body:format("/later"))
    assert.equal("up", r:processes().web.state)
    assert.equal(0, (h.ask(r.p, "restart", "web", "--no-wait")))
    r:wait_process("web", "starting")
    r:rewrite(body:format("/other"))
    h.write(r.dir .. "/other", "x")
    r:wait_process("web", "up")
  end)

  it("can be refused by the hook of the new policy", function()
    local r = R.start(MAIN)
    r:write(MAIN .. [[hooks = { on_reload = function(about) return "refuse", "not on a Friday: " .. about.changes end },]])
    local code, err = r:reload()
    assert.equal(1, code)
    assert.truthy(err:find("not on a Friday: 1", 1, true), err)
    assert.equal(1, r:status().policy.generation)
  end)

  it("runs under an engine that is new after a crash goes on as before", function()
    local r = R.start(MAIN)
    r:rewrite(MAIN .. "checks = { { name = 'c', interval = 0.1, check = function() return true end } },")
    local pid = r:processes().main.pid
    h.wait_for(function() return r:checks().c.status == "healthy" end, 10, "health")
    crashing.kill(r.p)
    h.wait_for(function()
      local ok, processes = pcall(r.processes, r)
      return ok and processes.main.pid == pid
    end, 10, "the same process")
    r:rewrite(MAIN .. "checks = { { name = 'd', interval = 0.1, check = function() return true end } },")
    h.wait_for(function() return r:checks().d end, 10, "the new check")
    assert.equal(pid, r:processes().main.pid)
  end)
end)
