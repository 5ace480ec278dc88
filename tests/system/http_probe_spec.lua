-- The kind http against a real server, over HTTP and HTTPS, and against what only pretends to be one.
local cjson = require "cjson"
local h = require "harness"
local probing = require "probing"
local web = require "web"

local function probe(params, ms, o)
  local r, problem = probing.attempt("http", params, ms, o)
  assert.truthy(r, problem)
  return r
end

local ok, failed, contains, lacks = probing.ok, probing.failed, probing.contains, probing.lacks

describe("the probe http", function()
  local s
  setup(function() s = web.missing() or web.start() end)
  before_each(function() if type(s) == "string" then pending(s) end end)

  it("asks by address and by name, IPv4 and IPv6, and tells the status", function()
    for _, host in ipairs { "127.0.0.1", "localhost", "LOCALHOST" } do
      local data = ok(probe { url = s:url("/status/204", host) })
      assert.equal(204, data.status)
      assert.equal("127.0.0.1:" .. s.port, data.address)
    end
    ok(probe { url = web.start({ v6 = true }):url "/" })
    ok(probe({ url = s:url("/", "svc.test") }, 10000, { mounts = probing.replace("/etc/hosts", "127.0.0.1 svc.test\n") }))
  end)

  it("sends method, headers and body", function()
    ok(probe { url = s:url "/echo?a=b", method = "PUT", headers = { ["X-Token"] = "t0ken", ["Content-Type"] = "text/plain" },
      body = "a body", equals = "a body" })
    ok(probe { url = s:url "/echo", headers = { "X-Token: in a list", "X-Empty:" }, body = "posted", contains = "post" })
    ok(probe { url = s:url "/", method = "HEAD" })
    local all = s:requests()
    local put, post, head = all[#all - 2], all[#all - 1], all[#all]
    assert.equal("PUT", put.method)
    assert.equal("/echo?a=b", put.target)
    assert.equal("t0ken", put.headers["x-token"])
    assert.equal("text/plain", put.headers["content-type"])
    assert.equal("a body", put.body)
    assert.equal("POST", post.method)
    assert.equal("in a list", post.headers["x-token"])
    assert.is_nil(post.headers["content-type"])
    assert.is_nil(post.headers.expect)
    assert.truthy(post.headers["user-agent"]:find "^tend/")
    assert.equal("HEAD", head.method)
  end)

  it("judges the status", function()
    contains("answered with status 503; expected 200-299", failed("status", probe { url = s:url "/status/503" }))
    ok(probe { url = s:url "/status/503", status = 503 })
    ok(probe { url = s:url "/status/404", status = { 200, "400-404", "5xx" } })
    contains("expected 200, 3xx", failed("status", probe { url = s:url "/status/404", status = { 200, "3xx" } }))
  end)

  it("judges the answer", function()
    ok(probe { url = s:url "/true", equals = "true" })
    ok(probe { url = s:url "/json", json = { status = "ok", n = 3, ["deep.list.1"] = true } })
    contains("is not \"false\"", failed("body", probe { url = s:url "/true", equals = "false" }))
    contains("does not hold \"good\"", failed("body", probe { url = s:url "/", contains = "good" }))
    contains("\"n\" is 3, expected 4", failed("body", probe { url = s:url "/json", json = { n = 4 } }))
    contains("no value at \"deep.none\"", failed("body", probe { url = s:url "/json", json = { ["deep.none"] = 1 } }))
    contains("is no JSON", failed("body", probe { url = s:url "/", json = { a = 1 } }))
    local a = ("a"):rep(200)
    ok(probe { url = s:url "/odd-json", json = { long = a .. "b", none = 0 } })
    for field, value in pairs { zero = "ok", long = a .. "c", near = 0.1 } do -- nothing of a value is left out
      failed("body", probe { url = s:url "/odd-json", json = { [field] = value } })
    end
  end)

  it("reads no more than 10 KiB", function()
    for _, path in ipairs { "/big", "/endless" } do
      ok(probe { url = s:url(path) })
      contains("in its first 10 KiB", failed("body", probe { url = s:url(path), contains = "never there" }))
      contains("10240 bytes, cut", failed("body", probe { url = s:url(path), json = { a = 1 } }))
    end
    contains("headers are longer than", failed("too_large", probe { url = s:url "/headers" }))
    contains("headers are longer than", failed("too_large", probe { url = s:url "/continue" }))
    contains("headers are longer than", failed("too_large", probe { url = s:url "/long-line" }))
    ok(probe { url = s:url "/gzip", contains = "bytes" }) -- nothing is unpacked
    contains("10240 bytes, cut", failed("body", probe { url = s:url "/bomb", json = { a = 1 } }))
  end)

  it("tells what is no HTTP, and answers that break off", function()
    contains("cannot be read as HTTP", failed("protocol", probe { url = s:url "/garbage" }))
    contains("chunked-encoding", failed("protocol", probe { url = s:url "/chunk" }))
    failed("closed", probe { url = s:url "/close" })
    failed("closed", probe { url = s:url "/short" })
  end)

  it("ends at its deadline, whatever the server does, and says what it was at", function()
    local r = probe({ url = s:url "/silent" }, 2000)
    contains("waiting for the answer of 127.0.0.1:", failed("timeout", r))
    contains("reading the answer of", failed("timeout", probe({ url = s:url "/drip" }, 2000)))
    contains("reading the answer of", failed("timeout", probe({ url = s:url "/drip-headers" }, 2000)))
    local listener = h.listen()
    r = probe({ url = ("https://127.0.0.1:%d/"):format(listener.port) }, 2000)
    contains("waiting for the TLS handshake of", failed("timeout", r))
  end)

  it("tells a refusal, an address that swallows packets and a network that is not there", function()
    contains("Connection refused", failed("refused", probe { url = ("http://127.0.0.1:%d/"):format(h.free_port()) }))
    local r = probe({ url = "http://10.77.0.5/" }, 700, { sandbox = probing.black_hole "10.77.0.5" })
    contains("connecting to 10.77.0.5:80", failed("timeout", r))
    failed("unreachable", probe({ url = "http://10.88.0.5/" }, 10000, { sandbox = "true" }))
  end)

  it("tries the next address of a name", function()
    ok(probe({ url = s:url("/", "svc.test") }, 10000, { mounts = probing.replace("/etc/hosts", "127.9.9.1 svc.test\n127.0.0.1 svc.test\n") }))
    ok(probe({ url = s:url("/", "svc.test") }, 10000, { mounts = probing.replace("/etc/hosts", "::1 svc.test\n127.0.0.1 svc.test\n") }))
  end)

  it("tells a name that does not resolve, and waits for a dead name server without blocking", function()
    local r = probe({ url = "http://svc.test/" }, 700, {
      sandbox = probing.black_hole "10.77.0.53" .. probing.replace("/etc/resolv.conf", "nameserver 10.77.0.53\n"),
    })
    contains("svc.test", failed("timeout", r))
    failed("dns", probe({ url = "http://svc.test/" }, 10000, { sandbox = probing.replace("/etc/resolv.conf", "nameserver 127.0.0.1\n") }))
  end)

  it("follows redirects only where asked, and never to another host or port", function()
    local detail = failed("status", probe { url = s:url "/to?/echo" })
    contains("a redirect to http://127.0.0.1:", detail)
    ok(probe { url = s:url "/to?/echo", redirects = 1 })
    ok(probe { url = s:url "/twice", redirects = 2 })
    failed("status", probe { url = s:url "/twice", redirects = 1 })
    failed("status", probe { url = s:url "/loop", redirects = 3 })
    local other = web.start()
    for _, to in ipairs { other:url "/echo", s:url("/echo", "localhost"), "ftp://127.0.0.1/", "file:///etc/passwd",
      "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "//169.254.169.254/", "http://" } do
      failed("status", probe { url = s:url("/to?" .. to), redirects = 3 })
    end
    failed("status", probe { url = s:url "/to?/echo", redirects = 3, body = "not sent twice" })
    assert.same({}, other:requests())
  end)

  it("uses the proxy that it is given, and none of the environment", function()
    local dead = ("http://127.0.0.1:%d"):format(h.free_port())
    local env = { http_proxy = dead, HTTP_PROXY = dead, ALL_PROXY = dead, https_proxy = dead }
    ok(probe({ url = s:url "/" }, 10000, { env = env }))
    ok(probe({ url = "http://far.test/x", proxy = s:url "", contains = "by proxy" }, 10000, { env = env }))
    local all = s:requests()
    assert.equal("http://far.test/x", all[#all].target)
    contains("cannot connect to 127.0.0.1:", failed("refused", probe { url = s:url "/", proxy = dead }))
    contains("the proxy 127.0.0.1:", failed("status", probe { url = "https://far.test/", proxy = s:url "" }))
    failed("timeout", probe({ url = "https://silent.test/", proxy = s:url "" }, 700))
  end)

  it("never shows a password, a query or a header", function()
    local url = ("http://user:secret-word@127.0.0.1:%d/x?key=secret-word"):format(s.port)
    local headers = { Authorization = "Bearer secret-word" }
    lacks("secret-word", failed("status", probe { url = url, headers = headers, status = 418 }))
    local all = s:requests()
    assert.truthy(all[#all].headers.authorization)
    lacks("secret-word", failed("status", probe { url = s:url "/to?http://u:secret-word@elsewhere.test/?secret-word" }))
    for _, params in ipairs { { url = "nonsense://u:secret-word@a/" }, { url = "http://u:secret-word@:1/" }, { url = "secret-word" },
      { url = s:url(), headers = { "secret word" } }, { url = s:url(), headers = { A = "b\r\nsecret-word: x" } },
      { url = s:url(), proxy = "secret-word" } } do
      local r, problem = probing.attempt("http", params)
      assert.is_nil(r)
      lacks("secret-word", problem)
    end
  end)

  it("refuses parameters that are wrong", function()
    for message, params in pairs {
      ["url: required"] = {},
      ["url: the URL's scheme is \"ftp\""] = { url = "ftp://a/" },
      ["url: the URL cannot be read"] = { url = "http://a b/" },
      ["url: the URL names no host"] = { url = "http://" .. ("\u{fffe}"):rep(5) .. "/" },
      ["url: the URL cannot be read (Port number was not a decimal"] = { url = "http://a:65536/" },
      ["url: the URL is longer than"] = { url = "http://a/" .. ("x"):rep(9000) },
      ["method: expected a word"] = { url = "http://a/", method = "GET /" },
      ["headers: header 1"] = { url = "http://a/", headers = { "no colon" } },
      ["status: \"99\""] = { url = "http://a/", status = 99 },
      ["status: \"fine\""] = { url = "http://a/", status = { "fine" } },
      ["status: \"\""] = { url = "http://a/", status = { {} } },
      ["headers: X: expected a text"] = { url = "http://a/", headers = { X = { "a" } } },
      ["json: a: expected a text, a number"] = { url = "http://a/", json = { a = { b = 1 } } },
      ["json: expected a table"] = { url = "http://a/", json = { "status" } },
      ["proxy: expected http://"] = { url = "http://a/", proxy = "socks5://a:1" },
      ["cert_file: required"] = { url = "http://a/", key_file = "/k" },
      ["redirects: expected a whole number from 0 to 3"] = { url = "http://a/", redirects = 4 },
      ["did you mean \"headers\""] = { url = "http://a/", header = {} },
    } do
      local r, problem = probing.attempt("http", params)
      assert.is_nil(r)
      contains(message, problem)
    end
  end)
end)

describe("the probe https", function()
  local s
  setup(function() s = web.missing() or web.start { tls = "good" } end)
  before_each(function() if type(s) == "string" then pending(s) end end)

  it("accepts a certificate of the CA that it is given, for the name that it asked", function()
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      ok(probe { url = s:url("/", host), ca_file = web.file "ca.crt" })
    end
  end)

  it("tells which check of the certificate failed", function()
    contains("issuer is unknown", failed("tls", probe { url = s:url() }))
    local ca = web.file "ca.crt"
    contains("has expired", failed("tls", probe { url = web.start({ tls = "expired" }):url("/", "localhost"), ca_file = ca }))
    local other = web.start { tls = "other" }
    contains("another name than localhost", failed("tls", probe { url = other:url("/", "localhost"), ca_file = ca }))
    contains("another name than 127.0.0.1", failed("tls", probe { url = other:url(), ca_file = ca }))
    local own = web.start { tls = "self" }
    contains("issuer is unknown", failed("tls", probe { url = own:url("/", "localhost"), ca_file = ca }))
    ok(probe { url = own:url("/", "localhost"), ca_file = web.file "self.crt" })
  end)

  it("tells a CA file that cannot be read, and a server without TLS", function()
    contains("/none/ca.crt", failed("tls", probe { url = s:url(), ca_file = "/none/ca.crt" }))
    local plain = web.start()
    failed("tls", probe { url = ("https://127.0.0.1:%d/"):format(plain.port), ca_file = web.file "ca.crt" })
  end)

  it("shows the server a certificate where it is told to", function()
    local strict, ca = web.start { tls = "good", clients = true }, web.file "ca.crt"
    ok(probe { url = strict:url(), ca_file = ca, cert_file = web.file "client.crt", key_file = web.file "client.key" })
    local r = probe { url = strict:url(), ca_file = ca }
    contains("certificate required", failed("tls", r))
  end)

  it("asks nobody for a key's pass phrase, and waits for no file that is a pipe", function()
    local strict, ca, dir = web.start { tls = "good", clients = true }, web.file "ca.crt", h.tempdir()
    local _, code = h.sh(("cd %s && openssl ec -in %s -aes256 -passout pass:secret-word -out locked.key && mkfifo pipe"):format(
      h.quote(dir), h.quote(web.file "client.key")))
    assert.equal(0, code)
    local params = { url = strict:url(), ca_file = ca, cert_file = web.file "client.crt", key_file = dir .. "/locked.key" }
    contains("without a pass phrase", failed("tls", probe(params)))
    local asked = probing.start({ "http", cjson.encode(params), "10000" })
    asked:wait(30)
    lacks("pass phrase:", asked.out .. asked.err)
    for _, name in ipairs { "ca_file", "cert_file", "key_file" } do
      local given = { url = strict:url(), ca_file = ca, cert_file = web.file "client.crt" }
      given[name] = dir .. "/pipe"
      contains(name .. ": " .. dir .. "/pipe is no file", failed("tls", probe(given)))
    end
  end)

  it("checks nothing when told so", function()
    ok(probe { url = web.start({ tls = "expired" }):url("/", "localhost"), insecure = true })
  end)
end)

describe("a dependency by HTTP", function()
  it("holds the start until the answer is good, with the library loaded for it alone", function()
    if web.missing() then pending(web.missing()) end
    local s, tls, dir = web.start(), web.start { tls = "self" }, h.tempdir()
    local function run(dependencies)
      h.write(dir .. "/web.lua", ([[
return {
  name = "web",
  processes = { main = { command = { "sh", "-c", "echo main is up; exec sleep 1000" } } },
  dependencies = { %s },
}
]]):format(dependencies))
      local p = h.spawn { args = { "run", "--flow-name", "web", "--flows", dir }, env = { CONTAINER_RESTART_POLICY = "no" } }
      p:wait_line "main is up"
      local loaded = ""
      for _, pid in ipairs(p:children()) do loaded = loaded .. (h.read(("/proc/%d/maps"):format(pid)) or "") end
      p:kill "TERM"
      p:wait()
      return p, loaded
    end
    local p, loaded = run(([[
      { name = "api", kind = "http", params = { url = "http://u:secret-word@127.0.0.1:%d/json", json = { status = "ok" },
        headers = { Authorization = "secret-word" } } },
      { name = "tls", kind = "http", params = { url = "%s", insecure = true } },
      { name = "again", kind = "http", params = { url = "%s", insecure = true } }]]):format(s.port, tls:url(), tls:url()))
    assert.equal(3, #p:events "dependency_ready")
    contains("libcurl", loaded)
    lacks("libpq", loaded)
    lacks("secret-word", p.out .. p.err)
    local _, told = (p.out .. p.err):gsub("insecure = true: its certificate is not checked", "")
    assert.equal(1, told)
    _, loaded = run(([[{ name = "port", kind = "tcp", params = { host = "127.0.0.1", port = %d } }]]):format(s.port))
    lacks("libcurl", loaded)
  end)
end)

describe("tend check", function()
  it("shows a request without what may be secret", function()
    local dir = h.tempdir()
    h.write(dir .. "/web.lua", [[
return {
  name = "web",
  processes = { main = { command = { "true" } } },
  dependencies = { { name = "api", kind = "http", params = { url = "http://u:secret-word@web.test/x?k=secret-word", body = "secret-word",
    headers = { Authorization = "secret-word" }, proxy = "http://u:secret-word@proxy.test:1" } } },
}
]])
    for _, more in ipairs { {}, { "--json" } } do
      local _, out, err = h.run { args = { "check", "--flow-name", "web", "--flows", dir, more[1] } }
      contains("web.test/x?***", out)
      lacks("secret-word", out .. err)
    end
  end)
end)

describe("Prefect as a dependency", function()
  local flow = [[
return {
  name = "web",
  processes = { main = { command = { "sh", "-c", "echo main is up; exec sleep 1000" } } },
  dependencies = { require("policies.prefect").server { %s } },
}
]]
  local function run(s, options)
    local dir = h.tempdir()
    h.write(dir .. "/web.lua", flow:format(options or ""))
    return h.spawn { args = { "run", "--flow-name", "web", "--flows", dir },
      env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_PREFECT_API_URL = s:url "/api" } }
  end

  before_each(function() if web.missing() then pending(web.missing()) end end)

  it("is there when it is ready and healthy", function()
    local s = web.start()
    local p = run(s)
    p:wait_line "main is up"
    p:wait_event "startup_completed"
    assert.equal(1, #p:events "dependency_ready")
    assert.same({ "/api/ready", "/api/health" }, { s:requests()[1].target, s:requests()[2].target })
    p:kill "TERM"
    p:wait()
  end)

  it("is done without where its own database is away, but waited for where it is required", function()
    local s = web.start()
    s:tell "/prefect/down"
    local p = run(s, "timeout = 0.5, interval = 0.1")
    p:wait_line "main is up"
    assert.equal(0, #p:events "dependency_ready")
    p:kill "TERM"
    p:wait()
    p = run(s, "required = true, interval = 0.1")
    local e = p:wait_event "dependency_waiting"
    contains("503", e.message .. (e.details.detail or ""))
    s:tell "/prefect/sick" -- ready, and not healthy by its own word
    h.wait_for(function() return (select(2, h.ask(p, "status", "--json"))):find("/api/health", 1, true) end, 10, "the word of /api/health")
    assert.equal(0, #p:events "dependency_ready")
    s:tell "/prefect/up"
    p:wait_line "main is up"
    p:kill "TERM"
    p:wait()
  end)
end)
