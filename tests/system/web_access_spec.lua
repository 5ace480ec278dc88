-- Who sees details over HTTP: CONTAINER_HTTP_DETAIL, CONTAINER_HTTP_TOKEN, and that a refusal says how.
local h = require "harness"
local http = require "endpoint"

local DETAILS = { "/status", "/report", "/history", "/events", "/" }
local FOR_ALL = { "/livez", "/readyz", "/startupz", "/healthz", "/metrics", "/metrics.json" }
local TOKEN = "dGhlLXRva2Vu-0123456789"

local function status(p, path, o)
  o = o or {}
  if path == "/events" then o.method = "HEAD" end
  return http.get(p, path, o).status
end

describe("details over HTTP", function()
  it("are for this host alone by default", function()
    local p = http.spawn()
    for _, path in ipairs(DETAILS) do
      assert.equal(200, status(p, path), path)
      for _, host in ipairs { "127.0.0.1:" .. p.port, "[::1]:" .. p.port, "LOCALHOST" } do assert.equal(200, status(p, path, { host = host }), path .. host) end
      for _, host in ipairs { "tend.example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1" } do
        assert.equal(403, status(p, path, { host = host }), path .. host)
      end
      for _, header in ipairs { "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1", "Via: 1.1 proxy", "X-Forwarded-Host: localhost" } do
        assert.equal(403, status(p, path, { headers = { header } }), path .. header)
      end
    end
    for _, site in ipairs { "cross-site", "same-site" } do
      assert.equal(403, status(p, "/status", { headers = { "Sec-Fetch-Site: " .. site } }))
      assert.equal(403, status(p, "/events", { headers = { "Sec-Fetch-Site: " .. site } }))
      assert.equal(200, status(p, "/", { headers = { "Sec-Fetch-Site: " .. site } }))
    end
    for _, path in ipairs(FOR_ALL) do
      assert.equal(200, status(p, path, { host = "tend.example.com", headers = { "X-Forwarded-For: 10.0.0.1", "Sec-Fetch-Site: cross-site" } }), path)
    end
    local a = http.get(p, "/status", { host = "tend.example.com" })
    assert.matches("names another host", a.json().reason)
    assert.matches("CONTAINER_HTTP_TOKEN", a.json().help)
    assert.falsy(a.body:find("example.com", 1, true))
  end)

  it("are not for another host", function()
    local out, code = h.sh "ip -4 -o addr show scope global up 2>/dev/null | awk '{print $4; exit}'"
    local address = code == 0 and out:match "^([%d.]+)/"
    if not address then return pending "this machine has no address but loopback" end
    local p = http.spawn()
    local function ask(path)
      local script = [[
import sys, http.client
c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10)
c.request("GET", sys.argv[3], headers={"Host": "localhost"})
print(c.getresponse().status)]]
      return (h.sh(("/usr/bin/python3 -c %s %s %d %s"):format(h.quote(script), address, p.port, path)):gsub("%s", ""))
    end
    assert.equal("403", ask "/status")
    assert.equal("403", ask "/")
    assert.equal("200", ask "/readyz")
    assert.equal("200", ask "/metrics")
  end)

  it("are for nobody with off, and for all with all", function()
    local p = http.spawn { env = { CONTAINER_HTTP_DETAIL = "off" } }
    for _, path in ipairs(DETAILS) do assert.equal(403, status(p, path), path) end
    for _, path in ipairs(FOR_ALL) do assert.equal(200, status(p, path), path) end
    assert.matches("CONTAINER_HTTP_DETAIL is off", http.get(p, "/status").json().reason)
    p = http.spawn { env = { CONTAINER_HTTP_DETAIL = "all" } }
    for _, path in ipairs(DETAILS) do assert.equal(200, status(p, path, { host = "tend.example.com", headers = { "X-Forwarded-For: 10.0.0.1" } }), path) end
    assert.equal(403, status(p, "/status", { headers = { "Sec-Fetch-Site: cross-site" } }))
  end)

  it("are for whoever has the token, which is told nowhere", function()
    local p = http.spawn { env = { CONTAINER_HTTP_DETAIL = "off", CONTAINER_HTTP_TOKEN = TOKEN } }
    local right = { "Authorization: Bearer " .. TOKEN }
    for _, path in ipairs(DETAILS) do
      local a = http.get(p, path, { method = path == "/events" and "HEAD" or nil, host = "tend.example.com" })
      assert.equal(401, a.status, path)
      assert.equal('Bearer realm="tend"', a.headers["www-authenticate"])
      assert.equal(200, status(p, path, { headers = right, host = "tend.example.com" }), path)
      for _, wrong in ipairs { TOKEN .. "x", TOKEN:sub(2), TOKEN:upper(), "" } do
        assert.equal(401, status(p, path, { headers = { "Authorization: Bearer " .. wrong } }), path)
      end
      assert.equal(401, status(p, path .. "?token=" .. TOKEN), path)
    end
    assert.matches("Authorization: Bearer TOKEN", http.get(p, "/status").json().help)
    -- the page comes with the refusal, for it can ask for the token; it holds no data
    local a = http.get(p, "/", { headers = { "Accept: text/html" } })
    assert.equal(401, a.status)
    assert.truthy(a.body:find("token-form", 1, true))
    assert.falsy(a.body:find("default", 1, true) and a.body:find("sleep", 1, true))
    for _, path in ipairs(DETAILS) do
      if path ~= "/events" then assert.falsy(http.get(p, path, { headers = right }).body:find(TOKEN, 1, true), path) end
    end
    p:kill "TERM"
    p:wait()
    assert.falsy((p.out .. p.err):find(TOKEN, 1, true))
    p = http.spawn { env = { CONTAINER_HTTP_TOKEN = TOKEN } }
    assert.equal(200, status(p, "/status"))
    assert.equal(401, status(p, "/status", { host = "tend.example.com" }))
  end)

  it("hold no secret of the settings", function()
    local p = http.spawn { env = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://app:s3cr3t-p4ss@127.0.0.1:1/db", CONTAINER_HTTP_TOKEN = TOKEN },
                           args = { "run", "--", "sh", "-c", "sleep 1000 # s3cr3t-p4ss " .. TOKEN } }
    for _, path in ipairs { "/status", "/report", "/history", "/metrics", "/metrics.json", "/events?last=0" } do
      if path:find "^/events" then
        local c = http.follow(p, "?state=1")
        c.wait(function(e) return e.type == "state" end)
        assert.falsy(c.text:find("s3cr3t-p4ss", 1, true) or c.text:find(TOKEN, 1, true))
      else
        local body = http.get(p, path).body
        assert.falsy(body:find("s3cr3t-p4ss", 1, true) or body:find(TOKEN, 1, true), path)
      end
    end
  end)
end)
