local half = require "spec.tend.half"

describe("metrics", function()
  local updates, metrics

  before_each(function()
    updates = {}
    metrics = half("metrics", {
      declare = function(kind, name)
        return kind .. ":" .. name
      end,
      update = function(family, op, values, v)
        updates[#updates + 1] = { family, op, values, v }
      end,
      get = function()
        return 3
      end,
    })
  end)

  it("gives values in the order of the labels", function()
    local rows = metrics.counter("rows_total", "Rows.", { "table", "result" })
    rows:inc(2, { result = "good", table = "t" })
    rows:inc(nil, { result = 5, table = "t" })
    assert.same({ "counter:rows_total", "add", { "t", "good" }, 2 }, updates[1])
    assert.same({ "counter:rows_total", "add", { "t", "5" }, 1 }, updates[2])
    assert.equal(3, rows:value { result = "x", table = "y" })
  end)

  it("knows what each kind can", function()
    local g, h = metrics.gauge("g", "G."), metrics.histogram("h", "H.")
    g:set(5)
    g:dec()
    h:observe(0.1)
    assert.same({ "set", "add", "observe" }, { updates[1][2], updates[2][2], updates[3][2] })
    assert.equal(-1, updates[2][4])
    assert.error_matches(function() h:set(1) end, "metrics: h is a histogram: no set")
    assert.error_matches(function() g:observe(1) end, "no observe")
    assert.error_matches(function() g:set("x") end, "expected a number, got string")
  end)

  it("tells missing and unknown labels", function()
    local rows = metrics.counter("rows_total", "Rows.", { "table" })
    assert.error_matches(function() rows:inc(1) end, "rows_total: label table is missing")
    assert.error_matches(function() rows:inc(1, { table = "t", x = 1 }) end, "declared without label x")
    assert.error_matches(function() metrics.gauge("g") end, "expected a name and a help text")
  end)
end)
