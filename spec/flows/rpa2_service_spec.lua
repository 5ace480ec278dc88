package.path = "./flows/?.lua;" .. package.path

describe("jobs.rpa2_service", function()
  local service, now, stopping, answers, bodies, kept, warnings

  before_each(function()
    now, stopping, answers, bodies, kept, warnings = 0, false, {}, {}, {}, {}
    _G.clock = { monotonic = function() return now end }
    _G.timer = { sleep = function(s) now = now + s end }
    _G.signal = { stopping = function() return stopping end }
    _G.log = { warning = function(_, fields) warnings[#warnings + 1] = fields.error end }
    -- an answer: a table is the decoded body, a number a status, a text the message of a failure
    _G.http = { post = function(_, body)
      bodies[#bodies + 1] = body
      local a = #answers > 1 and table.remove(answers, 1) or answers[1]
      if type(a) == "string" then return nil, { code = "refused", message = a } end
      local status = type(a) == "number" and a or 200
      return { status = status, ok = status == 200, json = function() return type(a) == "table" and a or nil end }
    end }
    for _, name in ipairs { "jobs.link", "jobs.store", "jobs.rpa2_service" } do package.loaded[name] = nil end
    service = require "jobs.rpa2_service"
  end)

  teardown(function() _G.clock, _G.timer, _G.signal, _G.log, _G.http = nil, nil, nil, nil, nil end)

  local function new()
    return service.new { url = "http://h/", cache = {
      get = function(_, key) if kept[key] then return table.unpack(kept[key]) end end,
      put = function(_, key, valid, reason) kept[key] = { valid, reason } end, flush = function() end } }
  end

  local function row(key, raw) return { key = key, raw = raw or "{}" } end

  it("asks for what is not kept, in order", function()
    answers = { { results = { { valid = true, reason = "x" }, { valid = false, reason = "no" } } } }
    local s, a, b = new(), row("a", '{"a":1}'), row("b", '{"b":1}')
    s:judge { a, b }
    assert.equal('{"records":[{"a":1},{"b":1}]}', bodies[1])
    assert.same({ valid = true, by = "service" }, a.verdict)
    assert.same({ valid = false, reason = "no", by = "service" }, b.verdict)
    local again = row "b"
    s:judge { again }
    assert.same({ valid = false, reason = "no", by = "cache" }, again.verdict)
    assert.equal(1, #bodies)
    s:judge {}
    assert.equal(1, #bodies)
  end)

  it("sends large records in several requests", function()
    answers = { { results = { { valid = true } } } }
    local big = '{"a":"' .. ("x"):rep(300000) .. '"}'
    local rows = { row("a", big), row("b", big), row "c" }
    new():judge(rows)
    assert.equal(3, #bodies)
    assert.is_true(rows[3].verdict.valid)
  end)

  it("takes any reason", function()
    for given, expected in pairs {
      ["a\0b\nc"] = "a b c", ["\xff"] = "refused", [""] = "refused", [("\u{20AC}"):rep(600)] = ("\u{20AC}"):rep(500), [5] = "refused",
    } do
      answers, kept = { { results = { { valid = false, reason = given } } } }, {}
      local r = row "a"
      new():judge { r }
      assert.equal(expected, r.verdict.reason)
    end
  end)

  it("tries a server that is down again, then leaves it alone for a while", function()
    answers = { "refused", 500, { results = { { valid = true } } } }
    local s, r = new(), row "a"
    s:judge { r }
    assert.is_true(r.verdict.valid)
    answers, bodies = { 503 }, {}
    r = row "b"
    s:judge { r }
    assert.is_nil(r.verdict)
    assert.same({ "status 503" }, warnings)
    assert.equal(3, #bodies)
    s:judge { row "c" }
    assert.equal(3, #bodies)
    now = now + 31
    s:judge { row "c" }
    assert.equal(6, #bodies)
    stopping, now = true, now + 31
    s:judge { row "c" }
    assert.equal(7, #bodies)
  end)

  it("has no verdict where the answer makes no sense, and asks once", function()
    for _, answer in ipairs {
      404, {}, { results = 3 }, { results = {} }, { results = { { valid = "yes" } } }, { results = { 1 } }, { { valid = true } },
      { results = { { valid = true }, { valid = true } } },
    } do
      answers, bodies = { answer }, {}
      local r = row "a"
      new():judge { r }
      assert.is_nil(r.verdict)
      assert.equal(1, #bodies)
    end
  end)
end)
