-- Alerts: events for a webhook (CONTAINER_ALERT_URL), its answers, its absence.
local cjson = require "cjson"
local h = require "harness"
local web = require "web"

local missing = web.missing()

local function posts(server, path)
  local list = {}
  for _, request in ipairs(server:requests()) do
    if request.method == "POST" and (not path or request.target == path) then list[#list + 1] = request end
  end
  return list
end

-- the events of all that was posted, by name
local function delivered(server, path)
  local names = {}
  for _, request in ipairs(posts(server, path)) do
    for _, event in ipairs(cjson.decode(request.body).events) do names[event.event] = event end
  end
  return names
end

-- main ends with 3 when a line comes in, and is not started again
local function failing(env)
  env.CONTAINER_RESTART_POLICY = "no"
  return h.spawn { args = { "run", "--flow-name", "plain", "--", "sh", "-c", "read x; exit 3" }, env = env, stdin = true }
end

local function it_with_web(text, fn)
  it(text, function()
    if missing then return pending(missing) end
    fn()
  end)
end

describe("alerts", function()
  it_with_web("are posted as JSON with their level and above, also those of the end", function()
    local server = web.start()
    local p = failing { CONTAINER_ALERT_URL = server:url "/hook/a-secret-word" }
    p:wait_event "startup_completed"
    p:send "go\n"
    assert.equal(3, (p:wait()))
    local names = delivered(server)
    assert.equal("CRITICAL", names.failure_detected.level)
    assert.equal("plain", names.failure_detected.flow)
    assert.equal("CONTAINER_ALERT_URL is no part of what is told", p.err:find("a-secret-word", 1, true) and p.err or
      "CONTAINER_ALERT_URL is no part of what is told")
    assert.is_nil(names.startup_completed)
    local first = posts(server)[1]
    assert.equal("application/json", first.headers["content-type"])
    assert.matches("failure_detected: process main ended: exit code 3", cjson.decode(first.body).text, 1, true)
  end)

  it_with_web("start at the level that is set", function()
    local server = web.start()
    local p = failing { CONTAINER_ALERT_URL = server:url "/hook", CONTAINER_ALERT_LEVEL = "INFO" }
    h.wait_for(function() return delivered(server).startup_completed end, 10, "the alert of the start")
    p:send "go\n"
    assert.equal(3, (p:wait()))
    assert.truthy(delivered(server).shutdown_completed)
  end)

  it_with_web("are tried again while the receiver is down, and it is said once", function()
    local server = web.start()
    server:tell "/prefect/down"
    local p = failing { CONTAINER_ALERT_URL = server:url "/api/ready", CONTAINER_ALERT_LEVEL = "INFO" }
    h.wait_for(function() return #posts(server) >= 2 end, 15, "a second try")
    server:tell "/prefect/up"
    h.wait_for(function() return p.err:find("alerts are delivered again", 1, true) end, 15, "delivery")
    local _, said = p.err:gsub("alerts cannot be delivered", "")
    assert.equal(1, said)
    assert.truthy(delivered(server).startup_completed)
    p:send "go\n"
    assert.equal(3, (p:wait()))
  end)

  it_with_web("are dropped and counted where the receiver refuses them, and no redirect is followed", function()
    local server = web.start()
    for _, path in ipairs { "/status/404", "/to?file:///etc/passwd", "/to?/echo" } do
      local p = failing { CONTAINER_ALERT_URL = server:url(path), CONTAINER_ALERT_LEVEL = "INFO" }
      h.wait_for(function() return p.err:find("alerts are refused", 1, true) end, 10, "the refusal of " .. path)
      assert.matches("status " .. (path:find "404" and "404" or "302"), p.err, 1, true)
      p:send "go\n"
      assert.equal(3, (p:wait()))
      assert.is_true(#posts(server, path) > 1, path)
      assert.equal(1, (select(2, p.err:gsub("alerts are refused", ""))))
    end
    assert.equal(0, #posts(server, "/echo"))
  end)

  it_with_web("hold nothing up: a receiver that never answers costs half a second at the end, no signal", function()
    local server = web.start()
    local p = failing { CONTAINER_ALERT_URL = server:url "/silent", CONTAINER_ALERT_LEVEL = "INFO" }
    h.wait_for(function() return #posts(server) >= 1 end, 10, "the request")
    p:kill "TERM"
    local stop = p:wait_event "shutdown_initiated"
    assert.equal("signal", stop.details.cause)
    assert.equal(143, (p:wait()))
  end)

  it_with_web("are lost at the end with the reason, where nobody takes them", function()
    local p = failing { CONTAINER_ALERT_URL = "http://127.0.0.1:1/a-secret-word" }
    p:wait_event "startup_completed"
    p:send "go\n"
    assert.equal(3, (p:wait()))
    assert.matches("alerts are lost at the end, so many events: 1: cannot connect to 127.0.0.1:1: Connection refused", p.err, 1, true)
    assert.is_nil(p.err:find("a-secret-word", 1, true))
  end)

  it("name no receiver: nothing is loaded; a wrong URL is refused", function()
    local p = failing {}
    p:wait_event "startup_completed"
    p:send "go\n"
    assert.equal(3, (p:wait()))
    local wrong = failing { CONTAINER_ALERT_URL = "file:///etc/passwd" }
    assert.equal(78, (wrong:wait()))
    assert.matches("CONTAINER_ALERT_URL", wrong.err, 1, true)
  end)
end)
