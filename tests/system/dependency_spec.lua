-- Dependencies of a flow, with the real program: retried, all at once, required and optional, and what the log says.
local h = require "harness"
local postgres = require "postgres"

--- A flow whose dependencies are the given Lua text; `marks` is a folder that they can write to.
local function spawn(dependencies, o)
  o = o or {}
  local dir = h.tempdir()
  h.sh("mkdir " .. h.quote(dir .. "/marks"))
  h.write(dir .. "/dep.lua", ([[
local marks = %q
return {
  name = "dep",
  processes = { main = { command = %s } },
  dependencies = {
%s
  },
}
]]):format(dir .. "/marks", o.command or [[{ "sh", "-c", "echo main is up; exec sleep 1000" }]], dependencies))
  local env = { CONTAINER_RESTART_POLICY = "no" }
  for k, v in pairs(o.env or {}) do env[k] = v end
  local p = h.spawn { args = { "run", "--flow-name", "dep", "--flows", dir }, env = env }
  p.marks = dir .. "/marks"
  return p
end

local function lines(path)
  local _, n = (h.read(path) or ""):gsub("\n", "")
  return n
end

local function stop(p)
  p:kill "TERM"
  return p:wait()
end

describe("dependencies", function()
  it("are told when ready, and then the processes start", function()
    local p = spawn [[
      { name = "place", kind = "directory", params = { path = marks, writable = true } },
      { name = "judge", kind = "command", params = { command = { "true" } } },
      { name = "fn", check = function() timer.sleep(0.05) return true end },
    ]]
    p:wait_line "main is up"
    p:wait_event "startup_completed"
    assert.equal(3, #p:events "dependency_ready")
    for _, e in ipairs(p:events "dependency_ready") do
      assert.equal("dependency", e.component)
      assert.equal("INFO", e.level)
      assert.equal(1, e.details.attempts)
      assert.equal("number", type(e.duration_ms))
    end
    assert.equal(1, #p:events "dependencies_ready")
    local order = {}
    for _, e in ipairs(p:events()) do
      if e.component ~= "config" and e.event ~= order[#order] then order[#order + 1] = e.event end
    end
    assert.same({ "startup_initiated", "dependency_ready", "dependencies_ready", "health_check_passed", "health_check",
      "process_started", "startup_completed" }, order)
    stop(p)
  end)

  it("are asked at once", function()
    -- each is ready only when the other has begun
    local p = spawn [[
      { name = "a", kind = "command", timeout = 60,
        params = { command = "cd " .. marks .. "; touch a; until [ -e b ]; do sleep 0.02; done" } },
      { name = "b", kind = "command", timeout = 60,
        params = { command = "cd " .. marks .. "; touch b; until [ -e a ]; do sleep 0.02; done" } },
    ]]
    p:wait_line "main is up"
    stop(p)
  end)

  it("are asked again until ready, and then no more", function()
    local p = spawn [[
      { name = "late", kind = "file", interval = 0.05, timeout = 60, params = { path = marks .. "/late" } },
      { name = "once", kind = "command", params = { command = "echo x >>" .. marks .. "/once" } },
    ]]
    local e = p:wait_event "dependency_waiting"
    assert.equal("missing", e.details.reason)
    assert.equal("late", e.details.name)
    h.write(p.marks .. "/late", "")
    p:wait_line "main is up"
    assert.equal(1, lines(p.marks .. "/once"))
    assert.is_true(p:wait_event("dependency_ready", { where = function(x) return x.details.name == "late" end }).details.attempts > 1)
    stop(p)
  end)

  it("end the start when a required one fails, with 69", function()
    local p = spawn(([[
      { name = "port", kind = "tcp", timeout = 0.5, interval = 0.1, params = { host = "127.0.0.1", port = %d } },
      { name = "hangs", kind = "command", timeout = 60, params = { command = "sleep 1000" } },
    ]]):format(h.free_port()))
    assert.equal(69, (p:wait(20)))
    local e = p:events "dependency_failed"
    assert.equal(1, #e)
    assert.equal("ERROR", e[1].level)
    assert.equal("port", e[1].details.name)
    assert.equal("refused", e[1].details.reason)
    assert.is_true(e[1].duration_ms >= 499)
    assert.falsy(p.out:find("main is up", 1, true))
    assert.equal(0, #h.orphans())
  end)

  it("go on without an optional one", function()
    local p = spawn [[
      { name = "nice", kind = "file", required = false, timeout = 0.2, interval = 0.05, params = { path = "/none/such" } },
      { name = "broken", required = false, timeout = 0.2, interval = 0.05, check = function() error "boom" end },
      { name = "needed", kind = "command", params = { command = { "true" } } },
    ]]
    p:wait_line "main is up"
    local e = p:events "dependency_failed"
    assert.equal(2, #e)
    for _, one in ipairs(e) do
      assert.equal("WARNING", one.level)
      if one.details.name == "broken" then assert.truthy(one.details.detail:find "dep.lua:%d+: boom") end
    end
    stop(p)
  end)

  it("keep nobody from stopping, nor one from another", function()
    local p = spawn [[
      { name = "loops", timeout = 60, check = function() while true do end end },
      { name = "sleeps", kind = "command", timeout = 60, params = { command = "echo x >" .. marks .. "/began; sleep 1000" } },
    ]]
    h.wait_for(function() return lines(p.marks .. "/began") == 1 end)
    stop(p)
    assert.equal(1, #p:events "shutdown_completed")
    assert.equal(0, #h.orphans())
  end)

  it("end the wait for a restart when they are back", function()
    local p = spawn([[
      { name = "late", kind = "file", interval = 0.05, timeout = 0.2, params = { path = marks .. "/late" } },
    ]], { env = { CONTAINER_RESTART_POLICY = "on-failure", CONTAINER_RESTART_DELAY_SECONDS = 3000,
      CONTAINER_MAX_RESTART_DELAY_SECONDS = 3000 } })
    p:wait_event "restart_initiated"
    h.write(p.marks .. "/late", "")
    p:wait_line "main is up"
    stop(p)
  end)

  it("that were good are not asked again at a restart", function()
    local p = spawn([[
      { name = "once", kind = "command", params = { command = "echo x >>" .. marks .. "/once" } },
    ]], { env = { CONTAINER_RESTART_POLICY = "on-failure", CONTAINER_RESTART_DELAY_SECONDS = 0 },
      command = [[{ "sh", "-c", "cd " .. marks .. "; echo x >>ran; [ $(wc -l <ran) -gt 2 ] || exit 1; echo main is up; sleep 1000" }]] })
    p:wait_line "main is up"
    assert.equal(3, lines(p.marks .. "/ran"))
    assert.equal(1, lines(p.marks .. "/once"))
    stop(p)
  end)

  it("wait for a database, and name what is wrong with it meanwhile", function()
    local db = postgres.start()
    local port = db.port
    db:stop()
    local p = spawn([[
      { name = "db", kind = "postgres", interval = 0.05, timeout = 60, params = { setting = "RPA_DB_CONNECTION_STRING" } },
    ]], { env = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri() } })
    assert.equal("refused", p:wait_event("dependency_waiting").details.reason)
    db:restart()
    assert.equal(port, db.port)
    p:wait_line "main is up"
    local e = p:wait_event "dependency_ready"
    assert.equal("number", type(e.details.data.response_ms))
    stop(p)
    assert.falsy((p.out .. p.err):find("Zk7", 1, true), "the password is in the log")
  end)

  it("on a connection string that cannot be read are no reason to wait: 78 at once, and it is not shown", function()
    for _, value in ipairs { "postgresql://u:secret-word@[::1/x", "host=a password=my secret-word", "secret-word" } do
      local p = spawn([[
        { name = "db", kind = "postgres", params = { setting = "RPA_DB_CONNECTION_STRING" } },
      ]], { env = { CONTAINER_RPA_DB_CONNECTION_STRING = value } })
      assert.equal(78, (p:wait(20)))
      local failures = p:events("validation_completed")[1].details.failures
      assert.equal(1, #failures)
      assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", failures[1].name)
      assert.equal("***", failures[1].value)
      assert.truthy(failures[1].fix:find("postgresql://USER", 1, true))
      assert.falsy((p.out .. p.err):find("secret-word", 1, true))
    end
  end)
end)

describe("the survey hub", function()
  it("is there when its name resolves, with a port when that accepts connections, and never keeps the start", function()
    local listener = h.listen()
    for _, case in ipairs {
      { env = {} }, { env = { HOST = "localhost" }, ready = true }, { env = { HOST = "nowhere.invalid" }, reason = "dns" },
      { env = { HOST = "localhost", PORT = tostring(listener.port) }, ready = true },
      { env = { HOST = "localhost", PORT = tostring(h.free_port()) }, reason = "refused" },
    } do
      local env = {}
      for name, value in pairs(case.env) do env["CONTAINER_DATABASE_SURVEY_HUB_" .. name] = value end
      local p = spawn([[require("policies.surveyhub").host { timeout = 0.5, interval = 0.1 }]], { env = env })
      p:wait_line "main is up"
      assert.equal(case.ready and 1 or 0, #p:events "dependency_ready")
      local failed = p:events "dependency_failed"[1]
      assert.equal(case.reason, failed and failed.details.reason)
      stop(p)
    end
  end)
end)
