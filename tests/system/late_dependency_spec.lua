-- Dependencies that go, come back, freeze or break after the start, with the real program.
local h = require "harness"
local cjson = require "cjson"
local postgres = require "postgres"
local checking = require "checking"
local spawn, touch, remove = checking.spawn, checking.touch, checking.remove
local entry, wait_status = checking.entry, checking.wait_status
local wait_state, health, of, stop = checking.wait_state, checking.health, checking.of, checking.stop

local function lines(path)
  local _, n = (h.read(path) or ""):gsub("\n", "")
  return n
end

describe("a late dependency", function()
  local function tcp_flow(port, o)
    o = o or {}
    o.more = ([[dependencies = { { name = "redis", kind = "tcp", interval = 0.1,
      params = { host = "127.0.0.1", port = %d } } },]]):format(port)
    return spawn("", o)
  end

  it("that dies makes the container not ready, is named, and comes back", function()
    local server = h.listen()
    local p = tcp_flow(server.port)
    wait_status(p, "ready", function(s) return s.ready end)
    server:close()
    local s = wait_status(p, "not ready", function(x) return not x.ready end)
    assert.equal("RUNNING", s.state)
    assert.equal("unhealthy", s.health)
    assert.equal("failed", entry(s.dependencies, "redis").status)
    assert.equal("refused", entry(s.dependencies, "redis").reason)
    assert.truthy(s.reason:find("required dependency redis is not ready: refused", 1, true), s.reason)
    local _, why = h.ask(p, "why")
    assert.truthy(why:find("required dependency redis is failed", 1, true), why)
    local e = p:wait_event("dependency_failed")
    assert.equal("ERROR", e.level)
    assert.equal("redis", e.details.name)
    server = h.listen(server.port)
    wait_status(p, "ready again", function(x) return x.ready end)
    p:wait_event("dependency_ready", { nth = 2 })
    assert.equal(0, #p:events "process_exited")
    stop(p)
    server:close()
  end)

  it("whose return ends the wait of a restart, within a second", function()
    local server = h.listen()
    local p = tcp_flow(server.port, { env = { CONTAINER_RESTART_DELAY_SECONDS = 300, CONTAINER_HEALTH_CHECK_INTERVAL_SECONDS = 3600 },
      command = [[{ "sh", "-c", "cd " .. dir .. "; test -e again && exec sleep 1000; >again; until test -e die; do sleep 0.05; done; exit 3" }]] })
    server:close()
    touch(p, "die") -- it fails; only then somebody looks whether its dependency is there
    p:wait_event("dependency_failed")
    local s = wait_status(p, "RESTARTING", function(x) return x.state == "RESTARTING" end)
    assert.is_true(s.next.in_seconds > 200)
    server = h.listen(server.port)
    p:wait_event("startup_completed", { nth = 2 })
    wait_status(p, "ready", function(x) return x.ready end)
    stop(p)
    server:close()
  end)

  it("is not asked twice where a check looks at the same thing", function()
    local function flow(name)
      return { more = [[dependencies = { { name = "same", kind = "command", params = { command = "echo x >>" .. dir .. "/asked" } } },]],
        checks = ([[ { name = %q, kind = "command", params = { command = "echo x >>" .. dir .. "/asked" }, interval = 0.1 }, ]]):format(name) }
    end
    for _, name in ipairs { "same", "other" } do -- by its name, and by kind and parameters
      local f = flow(name)
      local p = spawn(f.checks, { more = f.more })
      wait_status(p, "runs", function(s) return entry(s.checks, name).attempts > 4 end)
      p:kill "STOP"
      p:kill "CONT"
      stop(p)
      local report = cjson.decode(h.read(p.dir .. "/logs/hc_lifecycle_metrics.json"))
      local c = entry(report.checks, name)
      -- the first of its results is the start's; a run that was cut off at the end may have written, too
      local asked = lines(p.place .. "/asked")
      assert.is_true(asked == c.attempts or asked == c.attempts + 1, asked .. " lines, " .. c.attempts .. " results")
    end
  end)

  it("that is a function which breaks is not ready", function()
    local p = spawn("", { more = [[dependencies = { { name = "fn", interval = 0.1, check = function()
        if probe.file { path = dir .. "/break" }.status == "ok" then error "broken" end
        return true
      end } },]] })
    wait_status(p, "ready", function(s) return s.ready end)
    touch(p, "break")
    local s = wait_status(p, "not ready", function(x) return not x.ready end)
    assert.equal("script", entry(s.dependencies, "fn").reason)
    remove(p, "break")
    wait_status(p, "ready", function(x) return x.ready end)
    stop(p)
  end)

  it("PostgreSQL that freezes, and thaws", function()
    local db = postgres.start()
    local p = spawn([[ require("policies.database").health { timeout = 1, interval = 1 }, ]], {
      more = [[dependencies = { require("policies.database").rpa() },]],
      env = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_HEALTH_CHECK_INTERVAL_SECONDS = 1,
        CONTAINER_HEALTH_CHECK_TIMEOUT_SECONDS = 1, CONTAINER_MAX_HEALTH_CHECK_FAILURES = 2 },
    })
    wait_status(p, "ready", function(s) return s.ready end)
    db:suspend()
    local s = wait_status(p, "not ready", function(x) return not x.ready end)
    assert.equal("timeout", entry(s.dependencies, "rpa_database").reason)
    assert.truthy(s.reason:find("required dependency rpa_database is not ready", 1, true), s.reason)
    s = wait_state(p, "rpa_database", "unhealthy")
    assert.equal("unhealthy", s.health)
    db:resume()
    wait_status(p, "ready", function(x) return x.ready end)
    p:wait_event("recovery_completed", of "rpa_database")
    assert.equal("healthy", health(p).status)
    assert.equal(0, #p:events "process_exited")
    stop(p)
    db:stop "immediate"
  end)
end)
