-- /events: Server-Sent Events of what the ring in memory keeps.
local h = require "harness"
local http = require "endpoint"

local function named(name) return function(e) return e.data.event == name end end

--- A flow that tells `count` messages of that many bytes for each signal USR1 … no: at once, `delay` after its start.
local function talkative(count, bytes)
  local dir = h.tempdir()
  h.write(dir .. "/talk.lua", ([[
    timer.after(%s, function() for i = 1, %d do log.info(("message %%d %%s"):format(i, ("x"):rep(%d))) end end)
    return { name = "talk", processes = { main = { command = { "sleep", "1000" } } } }]]):format("1.0", count, bytes or 0))
  return { "run", "--flow-name", "talk", "--flows", dir }
end

describe("/events", function()
  it("tells the past, then what happens, each with its number", function()
    local p = http.spawn { env = { CONTAINER_RESTART_POLICY = "always" } }
    local c = http.follow(p)
    c.wait(named "startup_completed")
    assert.equal("text/event-stream", c.answer.headers["content-type"])
    assert.equal("no-store", c.answer.headers["cache-control"])
    local list = c.events()
    assert.equal(1, list[1].id)
    for i = 2, #list do assert.equal(list[i - 1].id + 1, list[i].id) end
    assert.equal(0, (h.ask(p, "stop")))
    local e = c.wait(named "process_exited")
    assert.equal("main", e.data.details.process)
    assert.equal(p:wait_event("process_exited").timestamp, e.data.timestamp)
  end)

  it("goes on after Last-Event-ID, and gives as much of the past as is asked for", function()
    local p = http.spawn()
    local c = http.follow(p)
    local last = c.wait(named "http_listening").id
    c:close()
    c = http.follow(p, "", "Last-Event-ID: " .. math.tointeger(last - 2))
    c.wait(named "http_listening")
    assert.same({ last - 1, last }, { c.events()[1].id, c.events()[2].id })
    c = http.follow(p, "?last=1")
    assert.equal(last, c.wait(named "http_listening").id)
    assert.equal(1, #c.events())
    -- a number from the future is another engine's, and nonsense is nothing
    for _, id in ipairs { "999999", "-1", "abc", "1e3", "99999999999999999999" } do
      c = http.follow(p, "", "Last-Event-ID: " .. id)
      c.wait(named "http_listening")
      assert.equal(1, c.events()[1].id, id)
    end
    for _, n in ipairs { "-1", "x", "99999999999" } do
      c = http.follow(p, "?last=" .. n)
      c.wait(named "http_listening")
      assert.equal(1, c.events()[1].id, n)
    end
  end)

  it("says how many are lost where the ring has gone on", function()
    local p = http.spawn { args = talkative(1500) }
    local c = http.follow(p, "?last=0")
    c.wait(function(e) return (e.data.message or ""):find "^message 1500" end)
    c = http.follow(p, "", "Last-Event-ID: 3")
    local lost = c.wait(function(e) return e.type == "lost" end)
    local first = c.wait(function(e) return e.id end)
    assert.equal(first.id - 4, lost.data.lost)
    c.wait(function(e) return (e.data.message or ""):find "^message 1500" end)
    assert.equal(1001, #c.events())
  end)

  it("gives status and metrics to who asks for them: at once, at each change, and every two seconds", function()
    local p = http.spawn { env = { CONTAINER_RESTART_POLICY = "always" } }
    local c = http.follow(p, "?state=1&last=0")
    local first = c.wait(function(e) return e.type == "state" end)
    assert.equal("RUNNING", first.data.status.state)
    assert.equal(1, first.data.metrics.container_health_status)
    assert.is_nil(first.id)
    assert.equal(0, (h.ask(p, "stop")))
    c.wait(function(e) return e.type == "state" and e.data.status.state == "STOPPED" end, 1)
    local n = #c.events()
    c.wait(function() return #c.events() >= n + 2 end, 6)
  end)

  it("ends with the last event when tend ends", function()
    local p = http.spawn()
    local c = http.follow(p)
    c.wait(named "startup_completed")
    p:kill "TERM"
    c:closed()
    local list = c.events()
    assert.equal("shutdown_completed", list[#list].data.event)
    assert.matches("\r\n0\r\n\r\n$", c.text)
    assert.equal(143, (p:wait()))
  end)

  it("notices at once that a client has gone", function()
    local p = http.spawn()
    local list = {}
    for i = 1, 20 do list[i] = http.follow(p) end
    for _, c in ipairs(list) do c.wait(named "http_listening") end
    assert.matches("\ntend_http_streams{[^}]*} 20\n", http.get(p, "/metrics").body)
    for i = 1, 15 do list[i]:close() end
    h.wait_for(function() return http.get(p, "/metrics").body:find "\ntend_http_streams{[^}]*} 5\n" end, 2, "the count of those that are left")
    list[16]:send "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" -- where nothing is to be said
    list[16]:closed()
  end)

  it("has room for so many, and tells the next one", function()
    local p = http.spawn()
    local list = {}
    for i = 1, 64 do list[i] = http.follow(p, "?last=1") end
    for _, c in ipairs(list) do c.wait(named "http_listening") end
    local a = http.get(p, "/events")
    assert.equal(503, a.status)
    assert.matches("too many clients", a.json().error)
    assert.equal(200, http.get(p, "/readyz").status)
    list[1]:close()
    h.wait_for(function() return http.get(p, "/events", { method = "HEAD" }).status == 200 end)
  end)

  it("drops a client that does not read, counts it, and serves the others", function()
    local p = http.spawn { args = talkative(4000, 2000) }
    local slow = http.follow(p, "?last=0")
    local quick = http.follow(p, "?last=0")
    quick.wait(function(e) return (e.data.message or ""):find "^message 4000 " end, 20)
    h.wait_for(function() return http.get(p, "/metrics").body:find 'tend_http_clients_dropped_total{[^}]*reason="slow"} [1-9]' end, 15, "the count of slow clients")
    slow:closed()
    assert.equal(200, http.get(p, "/livez").status)
  end)
end)
