-- Clients of the HTTP server that mean no good: malformed, oversized, slow, very many; and that nothing is leaked.
local h = require "harness"
local http = require "endpoint"
local native = require "native"

local function fds(p) return tonumber((h.sh("ls /proc/" .. http.engine(p) .. "/fd | wc -l"))) end
local function rss_kb(p) return tonumber(h.read("/proc/" .. http.engine(p) .. "/status"):match "VmRSS:%s*(%d+)") end
local function dropped(p, reason)
  return tonumber(http.get(p, "/metrics").body:match('tend_http_clients_dropped_total{[^}]*reason="' .. reason .. '"} (%d+)'))
end

describe("the HTTP server", function()
  it("answers what is malformed with an error or nothing, and goes on", function()
    local p = http.spawn()
    local rows = {
      "\r\n\r\n\r\n", "GET\r\n\r\n", "GET /livez\r\n\r\n", "GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n", "GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
      "GET /livez HTTP/1.1\r\n\r\n", "GET /livez HTTP/1.1\r\nHost x\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
      "\0\1\2\3\xff\xfe\r\n\r\n", "\22\3\1\2\0\1\0\1\252\3\3" .. ("\0"):rep(200), "GET /\0livez HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
      "GET /livez HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
      "GET http://evil/livez HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /livez?" .. ("%"):rep(100) .. " HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /events?state=1 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: " .. ("9"):rep(4000) .. "\r\nConnection: close\r\n\r\n",
    }
    local all = {}
    for i, text in ipairs(rows) do all[i] = http.connect(p):send(text) end
    for i, c in ipairs(all) do
      h.wait_for(function() return not c:pump() or #c.text > 0 end, 7, ("an answer to or the end of %q"):format(rows[i]:sub(1, 60)))
    end
    assert.equal(200, http.get(p, "/livez").status)
    -- nothing of a header comes back in one
    local a = http.get(p, "/nothing%0d%0aSet-Cookie:%20a=b")
    assert.is_nil(a.headers["set-cookie"])
    assert.equal(404, a.status)
  end)

  it("refuses heads that are too large", function()
    local p = http.spawn()
    assert.equal(414, http.get(p, "/" .. ("a"):rep(12000)).status)
    local many = {}
    for i = 1, 2000 do many[i] = "X-" .. i .. ": y" end
    assert.equal(431, http.get(p, "/livez", { headers = many }).status)
    assert.equal(431, http.get(p, "/livez", { headers = { "X: " .. ("y"):rep(12000) } }).status)
    assert.equal(431, http.get(p, "/livez", { headers = { "X: " .. ("y"):rep(8192) } }).status)
    assert.equal(200, http.get(p, "/livez", { headers = { "X: " .. ("y"):rep(7900) } }).status)
    assert.equal(200, http.get(p, "/livez").status)
  end)

  it("gives a request five seconds to be whole, however busily it drips", function()
    local p = http.spawn()
    local silent, dripping = http.connect(p), http.connect(p)
    dripping:send "GET /livez HTTP/1.1\r\n"
    local from = native.now()
    local n = 0
    h.wait_for(function()
      native.write(dripping.fd, "X")
      n = n + 1
      if n % 50 == 0 then native.write(dripping.fd, ": y\r\n") end
      return not dripping:pump()
    end, 8, "the end of a request that drips")
    assert.is_true(native.now() - from >= 4)
    silent:closed()
    assert.is_true(dropped(p, "late") >= 2)
  end)

  it("stays quick with a thousand slow clients, for probes, checks and signals", function()
    local dir = h.tempdir()
    h.write(dir .. "/busy.lua", [[return { name = "busy", mode = "server", processes = { main = { command = { "sleep", "1000" } } },
      checks = { { name = "root", kind = "directory", params = { path = "/" }, interval = 0.1 } } }]])
    local p = http.spawn { args = { "run", "--flow-name", "busy", "--flows", dir } }
    local function runs() return http.get(p, "/status").json().checks[1].attempts end
    local slow = {}
    local function more(n)
      for _ = 1, n do
        local c = http.connect(p, { from = "127.0.0." .. (2 + #slow % 20) })
        native.write(c.fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        slow[#slow + 1] = c
      end
    end
    local worst = 0
    local began, watch, runs_before = native.now(), h.stopwatch(), runs()
    for _ = 1, 20 do
      more(50)
      for _, c in ipairs(slow) do if c.fd then native.write(c.fd, "a") end end
      for _, path in ipairs { "/livez", "/readyz", "/metrics" } do
        local one = h.stopwatch()
        assert.equal(200, http.get(p, path).status)
        worst = math.max(worst, (one()))
      end
    end
    assert.equal(1000, #slow)
    assert.is_true(worst < 0.1 * h.slow, ("the slowest answer took %.3f s"):format(worst))
    assert.is_true(fds(p) < 400, "descriptors: " .. fds(p))
    h.wait_for(function() return native.now() - began > 1.5 end)
    local ran, wanted = runs() - runs_before, watch() / 0.1
    assert.is_true(ran > 0.5 * wanted / h.slow, ("the check ran %d times, wanted were %.0f"):format(ran, wanted))
    watch = h.stopwatch()
    p:kill "TERM"
    p:wait_event "shutdown_initiated"
    assert.is_true((watch()) < 0.2 * h.slow)
    assert.equal(0, (p:wait()))
  end)

  it("leaves room for the others where one address takes all it can", function()
    local p = http.spawn()
    for _ = 1, 300 do http.connect(p, { from = "127.0.0.9" }) end
    h.wait_for(function() return dropped(p, "displaced") >= 172 end)
    local n = tonumber(http.get(p, "/metrics").body:match "\ntend_http_connections{[^}]*} (%d+)")
    assert.is_true(n <= 129 + 5, "connections: " .. n)
    assert.equal(200, http.get(p, "/livez", { from = "127.0.0.9" }).status)
  end)

  it("leaks no descriptor and no memory", function()
    local p = http.spawn()
    local function round(n)
      for i = 1, n do
        http.get(p, "/livez")
        http.get(p, "/status", { method = i % 2 == 0 and "HEAD" or nil })
        http.get(p, "/metrics", { headers = { "Accept: application/openmetrics-text" } })
        http.get(p, "/nothing")
        local c = http.connect(p) -- gone in the middle of a request, and of an answer
        c:send "GET /report HTTP/1.1\r\nHost:"
        c:close()
        c = http.connect(p)
        c:send "GET /report HTTP/1.1\r\nHost: localhost\r\n\r\n"
        c:close()
        c = http.follow(p, "?state=1")
        c.wait(function(e) return e.type == "state" end)
        c:close()
      end
    end
    round(15)
    h.wait_for(function() return http.get(p, "/metrics").body:find "\ntend_http_streams{[^}]*} 0\n" end)
    local fds_before, rss_before = fds(p), rss_kb(p)
    round(45)
    h.wait_for(function() return http.get(p, "/metrics").body:find "\ntend_http_connections{[^}]*} 1\n" end)
    assert.is_true(fds(p) <= fds_before, ("descriptors: %d, then %d"):format(fds_before, fds(p)))
    if not os.getenv "ASAN_OPTIONS" then
      assert.is_true(rss_kb(p) <= rss_before + 600, ("memory: %d KB, then %d KB"):format(rss_before, rss_kb(p)))
    end
  end)

  it("goes on when there is no descriptor left, and does not spin", function()
    local p = http.spawn()
    local engine = http.engine(p)
    local _, code = h.sh("prlimit --pid " .. engine .. " --nofile=" .. (fds(p) + 3))
    if code ~= 0 then return pending "prlimit (util-linux) is not there" end
    local list = {}
    for i = 1, 20 do list[i] = http.connect(p) end
    local function run_ms() return tonumber(h.read("/proc/" .. engine .. "/schedstat"):match "^%d+") / 1e6 end
    local before, from = run_ms(), native.now()
    h.wait_for(function() return native.now() - from > 1.5 end)
    assert.is_true(run_ms() - before < 300, ("the engine spins: %.0f ms"):format(run_ms() - before))
    for _, c in ipairs(list) do c:close() end
    h.sh("prlimit --pid " .. engine .. " --nofile=1024")
    h.wait_for(function() local ok, a = pcall(http.get, p, "/livez"); return ok and a.status == 200 end)
    p:kill "TERM"
    assert.equal(143, (p:wait()))
  end)
end)
