local half = require "spec.tend.half"

describe("probe", function()
  local probe, started, gathered, answers

  before_each(function()
    answers = {}
    probe = half("probe", {
      start = function(kind, params, seconds)
        started = { kind, params, seconds }
        return { ok = true }
      end,
      loader = function() end,
      known = function() return true end,
      gather = function(list, any)
        gathered = { list = list, any = any }
        return answers
      end,
    })
  end)

  local function result(status, detail, seconds)
    return { ok = status == "ok" or status == "warn", status = status, reason = status == "ok" and "" or "r " .. detail,
      detail = detail, seconds = seconds or 1 }
  end

  it("takes the timeout out of the parameters", function()
    probe.tcp { host = "a", port = 1, timeout = 2 }
    assert.same({ "tcp", { host = "a", port = 1 }, 2 }, started)
    probe.http { url = "http://a" }
    assert.same({ "http", { url = "http://a" }, 10 }, started)
  end)

  it("takes a text alone for the parameter that matters most", function()
    for kind, case in pairs {
      http = { "http://a/b", { url = "http://a/b" } }, dns = { "db", { host = "db" } }, file = { "/x", { path = "/x" } },
      unix = { "/s", { path = "/s" } }, command = { "true", { command = "true" } },
    } do
      probe[kind](case[1])
      assert.same({ kind, case[2], 10 }, started)
    end
    probe.tcp "db:5432"
    assert.same({ host = "db", port = 5432 }, started[2])
    probe.tcp "[::1]:80"
    assert.same({ host = "::1", port = 80 }, started[2])
    for _, wrong in ipairs { "db", "db:", ":1", "" } do
      assert.has_error(function() probe.tcp(wrong) end)
    end
    assert.has_error(function() probe.resource "much" end)
  end)

  it("all is as good as the worst", function()
    answers = { result("ok", "", 1), result("unknown", "u", 2), result("fail", "f", 3), result("warn", "w") }
    local r = probe.all { { "tcp", host = "a" }, { "dns", host = "b", timeout = 1, name = "hub" }, { "process", name = "p" }, { "file" } }
    assert.same({ false, "fail", "r f", "hub: u; p: f", 3 }, { r.ok, r.status, r.reason, r.detail, r.seconds })
    assert.same({ { "tcp", { host = "a" }, 10 }, { "dns", { host = "b" }, 1 }, { "process", { name = "p" }, 10 }, { "file", {}, 10 } },
      gathered.list)
    assert.is_false(gathered.any)
    answers = { result("ok", ""), result("warn", "w") }
    r = probe.all { { "tcp" }, { "tcp" } }
    assert.same({ true, "warn", "" }, { r.ok, r.status, r.detail })
  end)

  it("any is as good as the best", function()
    answers = { result("fail", "f"), false, result("ok", "") }
    local r = probe.any { { "tcp" }, { "tcp" }, { "tcp" } }
    assert.is_true(gathered.any)
    assert.same({ true, "ok", "" }, { r.ok, r.status, r.detail })
    answers = { result("fail", "a"), result("fail", "b") }
    r = probe.any { { "tcp" }, { "tcp" } }
    assert.same({ false, "tcp: a; tcp: b" }, { r.ok, r.detail })
  end)

  it("refuses what is no list of probes, at the caller's line", function()
    for _, list in ipairs { "tcp", { "tcp" }, { {} }, { { "tcp", timeout = "1s" } } } do
      local ok, err = pcall(function() probe.all(list) end)
      assert.is_false(ok)
      assert.truthy(err:find("probe_spec.lua:", 1, true), err)
    end
  end)
end)
