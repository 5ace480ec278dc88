-- The endpoints over HTTP, with the real program: what each answers through the life of a container.
local cjson = require "cjson"
local h = require "harness"
local http = require "endpoint"

local function flow(text)
  local dir = h.tempdir()
  h.write(dir .. "/web.lua", text)
  return { "run", "--flow-name", "web", "--flows", dir }, dir
end

local function verdicts(p)
  local v = {}
  for _, path in ipairs { "livez", "startupz", "readyz", "healthz" } do v[path] = http.get(p, "/" .. path).status end
  return v
end

describe("the endpoints", function()
  it("tell the verdicts of a container that runs", function()
    local p = http.spawn()
    assert.same({ livez = 200, startupz = 200, readyz = 200, healthz = 200 }, verdicts(p))
    local a = http.get(p, "/readyz")
    assert.equal("application/json", a.headers["content-type"])
    assert.same({ status = "ok", state = "RUNNING", reasons = {} }, a.json())
    assert.same({ status = "healthy", healthy = true, ready = true, state = "RUNNING", reasons = {} }, http.get(p, "/healthz").json())
  end)

  it("are there while the start waits, and say for what", function()
    local port = h.free_port()
    local args, dir = flow(([[return { name = "web", processes = { main = { command = { "sleep", "1000" } } },
      dependencies = { { name = "late", kind = "file", params = { path = "%s/late" }, interval = 0.1, timeout = 60 } } }]]):format("DIR"))
    h.write(dir .. "/web.lua", (h.read(dir .. "/web.lua"):gsub("DIR", dir)))
    local p = http.spawn { args = args, address = "127.0.0.1:" .. port }
    assert.equal(port, p.port)
    assert.same({ livez = 200, startupz = 503, readyz = 503, healthz = 503 }, verdicts(p))
    assert.matches("late", http.get(p, "/startupz").json().reasons[1])
    assert.equal("STARTING", http.get(p, "/readyz").json().state)
    h.write(dir .. "/late", "")
    p:wait_event "startup_completed"
    assert.same({ livez = 200, startupz = 200, readyz = 200, healthz = 200 }, verdicts(p))
  end)

  it("tell of a failure that is held, of a stop, and of a drain", function()
    local p = http.spawn { args = { "run", "--", "false" }, env = { CONTAINER_ON_FAILURE = "hold", CONTAINER_RESTART_POLICY = "no" } }
    h.wait_for(function() return http.get(p, "/status").json().state == "FAILED" end)
    assert.same({ livez = 200, startupz = 200, readyz = 503, healthz = 503 }, verdicts(p))

    p = http.spawn { env = { CONTAINER_RESTART_POLICY = "always" } }
    assert.equal(0, (h.ask(p, "stop")))
    assert.same({ livez = 200, startupz = 200, readyz = 503, healthz = 503 }, verdicts(p))
    assert.equal(0, (h.ask(p, "start")))
    assert.equal(200, http.get(p, "/readyz").status)
    assert.equal(200, http.get(p, "http://any.host/livez").status)
    assert.equal(404, http.get(p, "http://any.host/live").status)

    p = http.spawn { env = { CONTAINER_SHUTDOWN_DRAIN_SECONDS = 20 } }
    p:kill "TERM"
    p:wait_event "shutdown_initiated"
    assert.equal(503, http.get(p, "/readyz").status)
    assert.equal(200, http.get(p, "/livez").status)
  end)

  it("give the specification's metrics as JSON, and the status and report of the commands", function()
    local p = http.spawn()
    local m = http.get(p, "/metrics.json").json()
    for _, key in ipairs { "container_health_status", "database_response_time_ms", "memory_usage_percent", "cpu_usage_percent", "disk_usage_percent",
                           "health_check_failures", "restart_count", "uptime_seconds", "startup_count", "graceful_shutdowns" } do
      assert.is_not_nil(m[key], key)
    end
    assert.equal(1, m.container_health_status)
    assert.equal(cjson.null, m.database_response_time_ms)
    local s = http.get(p, "/status").json()
    assert.equal("RUNNING", s.state)
    assert.equal("main", s.processes[1].name)
    local code, out = h.ask(p, "status", "--json")
    assert.equal(0, code)
    assert.equal(cjson.decode(out).processes[1].pid, s.processes[1].pid)
    local r = http.get(p, "/report").json()
    for _, key in ipairs { "container_info", "metrics", "restart_config", "event_history", "dependency_checks" } do assert.is_table(r[key], key) end
    assert.is_table(http.get(p, "/history").json().samples)
  end)

  it("take GET and HEAD only, know their paths only, and change nothing", function()
    local p = http.spawn()
    for _, method in ipairs { "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW" } do
      for _, path in ipairs { "/livez", "/status", "/stop" } do
        local a = http.get(p, path, { method = method })
        assert.equal(405, a.status, method)
        assert.equal("GET, HEAD", a.headers.allow)
      end
    end
    for _, path in ipairs { "/livez", "/metrics", "/status", "/report", "/events", "/" } do
      local a = http.get(p, path, { method = "HEAD" })
      assert.equal(200, a.status, path)
      assert.equal("", a.body)
    end
    for _, path in ipairs { "/stop", "/livez/", "/Livez", "/../etc/passwd", "/%2e%2e/", "/status%00", "//" } do
      local a = http.get(p, path)
      if path ~= "/status%00" then
        assert.equal(404, a.status, path)
        assert.equal("not found", a.json().error)
        assert.truthy(a.body:find("/livez", 1, true))
      end
    end
    assert.equal(413, http.get(p, "/livez", { headers = { "Content-Length: 3" }, body = "abc" }).status)
    assert.equal(200, http.get(p, "/livez?verbose=1&x=<script>").status)
    assert.equal(200, http.get(p, "/readyz").status)
  end)

  it("carry headers that keep browsers from doing more than showing", function()
    local p = http.spawn()
    for _, path in ipairs { "/livez", "/status", "/", "/nothing", "/metrics" } do
      local a = http.get(p, path)
      assert.equal("no-store", a.headers["cache-control"])
      assert.equal("nosniff", a.headers["x-content-type-options"])
      assert.equal("DENY", a.headers["x-frame-options"])
      assert.equal("same-origin", a.headers["cross-origin-resource-policy"])
      assert.matches("default%-src 'none'", a.headers["content-security-policy"])
      assert.is_nil(a.headers["access-control-allow-origin"])
    end
    local one, two = http.get(p, "/"), http.get(p, "/")
    local nonce = one.headers["content-security-policy"]:match "script%-src 'nonce%-(%x+)'"
    assert.equal(32, #nonce)
    assert.truthy(one.body:find('<script nonce="' .. nonce .. '">', 1, true))
    assert.falsy(one.body:find("@NONCE@", 1, true))
    assert.falsy(two.body:find(nonce, 1, true))
    assert.falsy(one.body:find("https?://%a", 1) and not one.body:find("http://www.w3.org/2000/svg", 1, true))
  end)

  it("serve IPv4 and IPv6 on the default address, and keep a connection", function()
    local p = http.spawn()
    assert.equal(200, http.get(p, "/livez").status)
    if h.exists "/proc/net/if_inet6" and #h.read "/proc/net/if_inet6" > 0 then
      assert.equal(200, http.get(p, "/status", { six = true, host = "[::1]" }).status)
    end
    local c = http.connect(p)
    c:send "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert.truthy(c:receive "reasons.*}")
    c:send "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert.truthy(c:receive "healthy.*}")
    local _, n = c.text:gsub("HTTP/1.1 200", "")
    assert.equal(3, n)
    c = http.connect(p)
    c:send "GET /livez HTTP/1.0\r\n\r\n"
    assert.matches("^HTTP/1.1 200", c:closed())
  end)

  it("are served on the address that is named, and nowhere with off", function()
    local port = h.free_port()
    local p = http.spawn { args = { "run", "--http", "127.0.0.1:" .. port, "--", "sleep", "1000" }, env = { CONTAINER_HTTP_ADDRESS = "off" } }
    assert.equal(port, p.port)
    assert.equal(200, http.get(p, "/livez").status)
    p = http.spawn { early = true, address = "off" }
    p:wait_event "startup_completed"
    assert.falsy(h.read("/proc/" .. http.engine(p) .. "/maps"):find("libmicrohttpd", 1, true))
  end)

  it("warn where the address is in use, do not keep the start, and come when it is free", function()
    local other = h.listen()
    local p = http.spawn { early = true, address = "127.0.0.1:" .. other.port }
    local event = p:wait_event "http_unavailable"
    assert.equal("WARNING", event.level)
    assert.equal("http", event.component)
    assert.matches("Address already in use", event.message)
    p:wait_event "startup_completed"
    other.close()
    p.port = math.tointeger(p:wait_event("http_listening").details.port)
    assert.equal(200, http.get(p, "/livez").status)
    assert.equal(1, #p:events "http_unavailable")
    p:kill "TERM"
    assert.equal(143, (p:wait()))
  end)

  it("come after the workload was started, so that it waits for nothing", function()
    local p = http.spawn()
    local names = {}
    for _, e in ipairs(p:events()) do names[#names + 1] = e.event end
    local all = table.concat(names, " ")
    assert.matches("process_started.*startup_completed.*http_listening", all)
  end)
end)

describe("/metrics", function()
  it("is what promtool accepts without a word", function()
    local p = http.spawn()
    local a
    h.wait_for(function() -- the share of the CPU needs two looks
      a = http.get(p, "/metrics")
      return a.body:find("\ntend_cpu_usage_ratio", 1, true)
    end)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", a.headers["content-type"])
    assert.matches('tend_healthy{flow="default",container_id="[^"]+"} 1\n', a.body)
    for _, name in ipairs { "tend_memory_usage_ratio", "tend_cpu_usage_ratio", "tend_health_check_failures_total", "tend_restarts_total", "tend_uptime_seconds",
                            "tend_startups_total", "tend_shutdowns_total", "tend_http_clients_dropped_total", "tend_build_info" } do
      assert.truthy(a.body:find("\n# TYPE " .. name .. " ", 1, true) or a.body:find("^# TYPE " .. name), name)
    end
    local _, missing = h.sh "command -v promtool"
    if missing ~= 0 then return pending "promtool is not installed (Debian: prometheus)" end
    local file = h.write(h.tempdir() .. "/metrics", a.body)
    local out, code = h.sh("promtool check metrics 2>&1 <" .. file)
    assert.equal("", out)
    assert.equal(0, code)
  end)

  it("is OpenMetrics where Accept asks for it, and its parser reads that", function()
    local p = http.spawn()
    local prometheus = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    local a = http.get(p, "/metrics", { headers = { prometheus } })
    assert.equal("application/openmetrics-text; version=1.0.0; charset=utf-8", a.headers["content-type"])
    assert.matches("\n# EOF\n$", a.body)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", http.get(p, "/metrics", { headers = { "Accept: text/plain" } }).headers["content-type"])
    local _, missing = h.sh "/usr/bin/python3 -c 'import prometheus_client'"
    if missing ~= 0 then return pending "prometheus_client is not installed (Debian: python3-prometheus-client)" end
    local file = h.write(h.tempdir() .. "/metrics", a.body)
    local out, code = h.sh([[/usr/bin/python3 -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
names = [f.name for f in text_string_to_metric_families(open(sys.argv[1]).read())]
assert "tend_healthy" in names and "tend_startups" in names, names
' ]] .. file)
    assert.equal("", out)
    assert.equal(0, code)
  end)

  it("holds what a flow counts, with labels of any bytes", function()
    local args = flow [[
      local c = metrics.counter("orders_total", "Orders.\nA second \\ line", { "shop" })
      c:inc(3, { shop = 'quo"te' }); c:inc(1, { shop = "new\nline" }); c:inc(1, { shop = "back\\slash" }); c:inc(1, { shop = "\xff\xfe" })
      return { name = "web", processes = { main = { command = { "sleep", "1000" } } } }]]
    local p = http.spawn { args = args }
    local body = http.get(p, "/metrics").body
    assert.truthy(body:find([[shop="quo\"te"} 3]], 1, true), body:match "orders[^\n]*")
    assert.truthy(body:find([[shop="new\nline"} 1]], 1, true))
    assert.truthy(body:find([[shop="back\\slash"} 1]], 1, true))
    local _, missing = h.sh "command -v promtool"
    if missing ~= 0 then return pending "promtool is not installed (Debian: prometheus)" end
    local out = h.sh("promtool check metrics 2>&1 <" .. h.write(h.tempdir() .. "/metrics", body))
    assert.equal("", out)
  end)

  it("is scraped by a real Prometheus", function()
    local _, missing = h.sh "command -v prometheus"
    if missing ~= 0 then return pending "prometheus is not installed" end
    local p = http.spawn()
    local dir, port = h.tempdir(), h.free_port()
    h.write(dir .. "/prometheus.yml", ([[
global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: tend
    static_configs: [ { targets: [ '127.0.0.1:%d' ] } ]
]]):format(p.port))
    h.start { argv = { "/usr/bin/prometheus", "--config.file=" .. dir .. "/prometheus.yml", "--storage.tsdb.path=" .. dir .. "/data",
                       "--web.listen-address=127.0.0.1:" .. port, "--log.level=warn" }, env = { "PATH=/usr/bin:/bin" }, cwd = dir }
    local up
    h.wait_for(function()
      local ok, a = pcall(http.get, { port = port }, "/api/v1/query?query=tend_healthy")
      up = ok and a.status == 200 and a.json().data.result[1]
      return up
    end, 30, "a sample in Prometheus")
    assert.equal("1", up.value[2])
    assert.equal("default", up.metric.flow)
    local targets = http.get({ port = port }, "/api/v1/targets").json().data.activeTargets
    assert.equal("up", targets[1].health)
    assert.equal("", targets[1].lastError)
  end)
end)
