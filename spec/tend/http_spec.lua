local half = require "spec.tend.half"

describe("http", function()
  local http, asked, answer

  before_each(function()
    answer = { 200, "Content-Type: text/plain\nSet-Cookie: a\nset-cookie: b\n", "hello" }
    http = half("http", {
      request = function(o, seconds)
        asked = o
        asked.seconds = seconds
        return table.unpack(answer, 1, 3)
      end,
    }, {
      json = {
        encode = function(v) return "json of " .. type(v) end,
        decode = function(text) return { text = text } end,
      },
    })
  end)

  it("gives status, headers and body", function()
    local r = http.get "http://a/"
    assert.same({ 200, true, "hello" }, { r.status, r.ok, r.body })
    assert.same({ ["content-type"] = "text/plain", ["set-cookie"] = "a, b" }, r.headers)
    assert.same({ text = "hello" }, r:json())
    assert.equal("GET", asked.method)
    assert.equal(30, asked.seconds)
    assert.equal(1024 * 1024, asked.max)
    answer[1] = 404
    assert.is_false(http.get("http://a/").ok)
  end)

  it("sends a table as JSON and a text as it is", function()
    http.post("http://a/", { x = 1 })
    assert.equal("json of table", asked.body)
    assert.same({ "Content-Type: application/json", "Accept: application/json" }, asked.headers)
    http.post("http://a/", "text", { headers = { B = "2", A = 1 }, timeout = 5 })
    assert.equal("text", asked.body)
    assert.same({ "A: 1", "B: 2" }, asked.headers)
    assert.equal(5, asked.seconds)
    http.request { url = "http://a/", json = false, headers = { "content-type: text/x", "Accept: */*" } }
    assert.equal("json of boolean", asked.body)
    assert.same({ "Accept: */*", "content-type: text/x" }, asked.headers)
  end)

  it("passes on why there is no answer", function()
    answer = { nil, { code = "refused" } }
    local _, r, err
    r, err = http.get "http://a/"
    assert.is_nil(r)
    assert.equal("refused", err.code)
    _, err = http.post("http://a/", "")
    assert.equal("refused", err.code)
    _, err = http.request { url = "http://a/" }
    assert.equal("refused", err.code)
  end)

  it("refuses options that are wrong, at the caller's line", function()
    for message, o in pairs {
      ["http.request.url: missing"] = {},
      ["http.request.heders: unknown option"] = { url = "u", heders = {} },
      ["http.request.timeout: expected a number, got string"] = { url = "u", timeout = "5s" },
      ["http.request.json: either body or json"] = { url = "u", body = "a", json = 1 },
      ["http.request.limit: expected bytes"] = { url = "u", limit = 1e9 },
      ["http.request.headers: expected"] = { url = "u", headers = { 1 } },
    } do
      local ok, err = pcall(function() http.request(o) end)
      assert.is_false(ok)
      assert.truthy(err:find(message, 1, true), err)
      assert.truthy(err:find("http_spec.lua:", 1, true), err)
    end
    assert.is_false((pcall(http.request, "http://a/")))
  end)
end)
