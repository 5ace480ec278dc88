-- The Lua module http in scripts, against a real server.
local h = require "harness"
local web = require "web"

-- Runs a chunk whose assertions say whether all is well; %URL% is the server's.
local function passes(text, s, options)
  options = options or {}
  local file = h.write(h.tempdir() .. "/job.lua", (text:gsub("%%URL%%", s and s:url "" or ""):gsub("%%CA%%", s and web.file "ca.crt" or "")))
  local args = { "script", file }
  local code, out, err = h.run { args = args, env = options.env }
  assert.equal(0, code, err)
  return out .. err
end

describe("http in scripts", function()
  before_each(function() if web.missing() then pending(web.missing()) end end)

  it("gets, posts and decodes", function()
    local s = web.start()
    passes([[
      local r = assert(http.get "%URL%/json")
      assert(r.status == 200 and r.ok and r.headers["content-type"] == "application/json")
      assert(r:json().deep.list[1] == 1)
      r = assert(http.post("%URL%/echo", { n = 1 }))
      assert(r:json().n == 1 and r.headers["x-method"] == "POST")
      r = assert(http.post("%URL%/echo", "a\0b"))
      assert(r.body == "a\0b")
      r = assert(http.request { url = "%URL%/echo", method = "PUT", body = ("x"):rep(3000000), limit = 4000000 })
      assert(#r.body == 3000000)
      r = assert(http.get "%URL%/status/500")
      assert(r.status == 500 and not r.ok and r.body == "as asked")
      assert(#assert(http.get "%URL%/big").body == 1048576)
      r = assert(http.get("%URL%/big", { limit = 1000, cut = true }))
      assert(r.cut and #r.body == 1000 and r.status == 200)
      r = assert(http.get("%URL%/endless", { limit = 5000, cut = true }))
      assert(r.cut and #r.body == 5000)
      assert(http.get("%URL%/echo").cut == false)
      assert(http.get("%URL%/to?/echo").status == 302)
      assert(http.get("%URL%/to?/echo", { redirects = 1 }).status == 200)
    ]], s)
    local all = s:requests()
    assert.equal("application/json", all[2].headers["content-type"])
    assert.equal(all[1].connection, all[2].connection) -- kept
  end)

  it("tells why there is no answer", function()
    passes(([[
      local function fails(code, url, o)
        local r, err = http.get(url, o)
        assert(r == nil and err.code == code, err and tostring(err) or "it did not fail")
        assert(err.message:find("127.0.0.1", 1, true), err.message)
      end
      fails("refused", "http://u:secret@127.0.0.1:%d/")
      fails("too_large", "%%URL%%/big", { limit = 1000 })
      fails("too_large", "%%URL%%/endless")
      fails("timeout", "%%URL%%/silent", { timeout = 0.2 })
      fails("timeout", "%%URL%%/drip", { timeout = 0.2 })
      fails("timeout", "%%URL%%/drip-headers", { timeout = 0.2 })
      fails("too_large", "%%URL%%/headers")
      assert(#assert(http.get("%%URL%%/bomb", { limit = 16 * 1024 * 1024 })).body < 2000000) -- as it came
      fails("closed", "%%URL%%/close")
      fails("protocol", "%%URL%%/garbage")
      assert(not pcall(http.get, "ftp://a/"))
      -- no other place than the one that is written
      assert(not pcall(http.get, "%%URL%%/echo\0x"))
      assert(not pcall(http.get, "%%URL%%/echo", { headers = { A = "b\0c" } }))
      assert(not pcall(http.get, "%%URL%%/echo", { redirects = 1.5 }))
      assert(not pcall(dns.resolve, "localhost\0.test"))
      assert(not pcall(dns.resolve, "localhost", 5))
      assert(not pcall(http.get, "%%URL%%", { headers = { "no colon" } }))
    ]]):format(h.free_port()), web.start())
  end)

  it("checks certificates", function()
    passes([[
      local r, err = http.get "%URL%/"
      assert(r == nil and err.code == "tls", tostring(err))
      assert(http.get("%URL%/", { ca_file = "%CA%" }).ok)
    ]], web.start { tls = "good" })
    local said = passes([[assert(http.get("%URL%/", { insecure = true }).ok)]], web.start { tls = "expired" })
    assert.truthy(said:find("its certificate is not checked", 1, true), said)
  end)

  it("lets other tasks run while it waits, and ends with them", function()
    passes([[
      local done = 0
      for _ = 1, 20 do
        timer.after(0, function()
          assert(http.get "%URL%/json")
          done = done + 1
        end)
      end
      timer.after(0, function() http.get "%URL%/silent" end)
      while done < 20 do timer.sleep(0.01) end
    ]], web.start())
  end)
end)

describe("each kind of probe in scripts", function()
  it("can be called, and gives a result", function()
    passes(([[
      local dir = %q
      local calls = {
        tcp = { host = "127.0.0.1", port = %d }, dns = { host = "localhost" }, file = { path = "/etc/passwd" }, directory = { path = dir },
        command = { command = { "true" } }, unix = { path = dir .. "/none" }, process = { name = "nosuchname" }, resource = { cpus = 1 },
        usage = { of = "disk", fail = 100 }, postgres = { conninfo = "host=127.0.0.1 port=%d" }, http = { url = "http://127.0.0.1:%d/" },
      }
      local bad = { unix = "missing", process = "missing", postgres = "refused", http = "refused" }
      for kind, params in pairs(calls) do
        params.timeout = 20
        local r = probe[kind](params)
        assert(r.reason == (bad[kind] or ""), kind .. ": " .. r.reason .. " " .. r.detail)
        assert(r.ok == not bad[kind] and r.status == (bad[kind] and "fail" or "ok") and r.seconds >= 0, kind)
        local again = probe.run(kind, params)
        assert(again.status == r.status, kind)
      end
    ]]):format(h.tempdir(), h.listen().port, h.free_port(), h.free_port()))
  end)
end)

describe("a probe that asks the same again", function()
  before_each(function() if web.missing() then pending(web.missing()) end end)

  it("asks as if it were the first time, on a connection of its own", function()
    local s = web.start()
    passes([[
      local function ask(path, more)
        local params = more or {}
        params.url = "%URL%" .. path
        return probe.http(params)
      end
      for i = 1, 3 do
        assert(ask("/echo?same").ok)
        assert(ask("/echo?same", { headers = { "X-Token: " .. i % 2 } }).ok)
        assert(ask("/echo?same", { headers = { "X-Token: " .. i % 2, "X-More: x" } }).ok)
        assert(ask("/echo?same", { method = "HEAD" }).ok)
        assert(ask("/echo?same", { body = "text", equals = "text" }).ok)
        assert(ask("/status/503").data.status == 503)
        assert(ask("/close").reason == "closed")
        assert(ask("/to?/echo", { redirects = 1 }).ok)
        assert(ask("/to?/echo").reason == "status")
        local all = {}
        for n = 1, 20 do all[n] = { "http", url = "%URL%/echo?" .. n, timeout = 20 } end
        for n = 21, 24 do all[n] = all[1] end
        assert(probe.all(all).ok)
      end
    ]], s)
    local times, connections, tokens = {}, {}, {}
    for _, r in ipairs(s:requests()) do
      local what = r.method .. " " .. r.target
      times[what] = (times[what] or 0) + 1
      if r.target == "/echo?same" then
        assert.is_nil(connections[r.connection], "two checks on one connection")
        connections[r.connection] = true
        local token = (r.headers["x-token"] or "none") .. (r.headers["x-more"] and " and more" or "")
        if r.method == "GET" then tokens[token] = (tokens[token] or 0) + 1 end
      end
    end
    assert.same({ none = 3, ["0"] = 1, ["1"] = 2, ["0 and more"] = 1, ["1 and more"] = 2 }, tokens)
    assert.equal(3, times["HEAD /echo?same"])
    assert.equal(3, times["POST /echo?same"])
    assert.equal(6, times["GET /to?/echo"])
    assert.equal(3, times["GET /echo"])
    for n = 1, 20 do assert.equal(n == 1 and 15 or 3, times["GET /echo?" .. n]) end
  end)

  it("looks at the certificate each time", function()
    local s = web.start { tls = "good" }
    passes([[
      for _ = 1, 3 do assert(probe.http { url = "%URL%/", ca_file = "%CA%" }.ok) end
      assert(probe.http { url = "%URL%/" }.reason == "tls")
      assert(probe.http { url = "%URL%/", insecure = true }.ok)
      assert(probe.http { url = "%URL%/" }.reason == "tls")
    ]], s)
    for _, r in ipairs(s:requests()) do assert.is_false(r.resumed) end
  end)

  it("reads the file of authorities each time", function()
    local s, own = web.start { tls = "good" }, h.tempdir() .. "/ca.crt"
    passes(([[
      local own, other = %q, %q
      fs.write_atomic(own, fs.read "%%CA%%")
      for _ = 1, 2 do assert(probe.http { url = "%%URL%%/", ca_file = own }.ok) end
      assert(http.get("%%URL%%/", { ca_file = own }).ok)
      fs.write_atomic(own, fs.read(other))
      assert(probe.http { url = "%%URL%%/", ca_file = own }.reason == "tls")
    ]]):format(own, web.file "self.crt"), s)
  end)
end)

describe("several probes in scripts", function()
  it("run at once; any ends with the first that is good", function()
    local listener = h.listen()
    passes(([[
      local good = { "tcp", host = "127.0.0.1", port = %d }
      local bad = { "tcp", host = "127.0.0.1", port = %d, name = "nobody" }
      local slow = { "command", command = "sleep 0.5; exit 0" }
      local r = probe.all { good, good }
      assert(r.ok and r.status == "ok" and #r.results == 2 and r.results[2].data.address)
      r = probe.all { good, bad, good }
      assert(not r.ok and r.reason == "refused" and r.detail:find("nobody: cannot connect", 1, true), r.detail)
      local many = {}
      for i = 1, 40 do many[i] = slow end
      local begun = clock.monotonic()
      assert(probe.all(many).ok)
      assert(clock.monotonic() - begun < 15) -- one after the other they take 20
      r = probe.any { { "command", command = "sleep 1000" }, bad, good }
      assert(r.ok and r.results[1] == false)
      r = probe.any { bad, bad }
      assert(not r.ok and r.detail:find("; nobody: ", 1, true))
      local ok, err = pcall(probe.all, { good, { "tcp", hots = "a" } })
      assert(not ok and tostring(err):find("[2] probe.tcp: hots: unknown parameter", 1, true), tostring(err))
      assert(not pcall(probe.all, {}))
      assert(not pcall(probe.all, { { "tcp", host = "a", port = 1, timeout = 0 / 0 } }))
      local n = 0
      assert(retry { attempts = 3, delay = 0.01 } (function() n = n + 1 return n == 3 end))
      assert(not pcall(function() return retry.nothing end))
    ]]):format(listener.port, h.free_port()))
  end)
end)
