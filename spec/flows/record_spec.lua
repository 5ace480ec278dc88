package.path = "./flows/?.lua;" .. package.path
local record = require "jobs.record"
local digest = require "jobs.digest"

describe("a record of rpa1", function()
  it("has its dates as YYYY-MM-DD", function()
    for text, expected in pairs {
      ["2024-01-31"] = "2024-01-31", ["2024/1/5"] = "2024-01-05", ["29.02.2024"] = "2024-02-29", ["1.3.2023"] = "2023-03-01",
      ["2024-01-15T10:30:00Z"] = "2024-01-15T10:30:00Z", ["15.01.2024 10:30"] = "2024-01-15 10:30", [""] = "",
      ["2000-02-29"] = "2000-02-29",
    } do
      assert.equal(expected, (record.date(text)), text)
    end
    for _, text in ipairs { "x", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "31.04.2024", "2024-01-31x", "01/31/2024" } do
      assert.is_nil((record.date(text)), text)
    end
  end)

  it("has its amounts as plain decimals", function()
    for text, expected in pairs {
      ["1"] = "1.00", ["1.5"] = "1.50", ["1,5"] = "1.50", ["1,234"] = "1234.00", ["1,234.5"] = "1234.50", ["1.234,50"] = "1234.50",
      ["1.234.567"] = "1234567.00", ["\u{20AC} 12.30"] = "12.30", ["EUR 7"] = "7.00", ["7 USD"] = "7.00", ["-3"] = "-3.00",
      ["(3.10)"] = "-3.10", ["0.1250"] = "0.125", [".5"] = "0.50", ["1 234.00"] = "1234.00", [""] = "", ["$5"] = "5.00",
    } do
      assert.equal(expected, (record.amount(text)), text)
    end
    for _, text in ipairs { "x", "1.2.3", "1,23,4", "--1", "1e5", "12.", "0x10", "1.23456", "9999999999999", "1-2" } do
      assert.is_nil((record.amount(text)), text)
    end
  end)

  it("gets a total of quantity and price", function()
    local plan = record.plan { " id ", "Quantity", "Unit Price", "order_date" }
    assert.same({ "id", "Quantity", "Unit Price", "order_date", "total" }, plan.header)
    assert.same({ "7", "3", "1234.50", "2024-01-02", "3703.50" }, record.transform(plan, { " 7 ", "3", "1,234.50", "2.1.2024" }))
    assert.same({ "7", "", "1.00", "", "" }, record.transform(plan, { "7", "", "1", "" }))
    assert.same({ "7", "-2", "0.125", "", "-0.25" }, record.transform(plan, { "7", "-2", "0.125", "" }))
  end)

  it("keeps a total that is there", function()
    local plan = record.plan { "quantity", "price", "total" }
    assert.is_false(plan.adds_total)
    assert.same({ "2", "3.00", "7.00" }, record.transform(plan, { "2", "3", "7" }))
  end)

  it("is refused with a reason", function()
    local plan = record.plan { "id", "quantity", "price", "due_date" }
    for _, row in ipairs {
      { { "1", "2" }, "it has 2 fields, the header has 4" },
      { { "1", "2", "3", "2024-02-30" }, "due_date: there is no such day" },
      { { "1", "x", "3", "" }, "quantity: expected a whole number" },
      { { "1", "2", "abc", "" }, "price: expected an amount" },
      { { "\xff", "2", "3", "" }, "id: it is not valid UTF%-8" },
      { { "a\0b", "2", "3", "" }, "id: it holds a zero byte" },
      { { "1", "9999999999", "999999999999", "" }, "too large" },
    } do
      local fields, reason = record.transform(plan, row[1])
      assert.is_nil(fields)
      assert.matches(row[2], reason)
    end
  end)
end)

describe("the digest", function()
  local function of(text, n)
    local sum = digest.new()
    for at = 1, #text, n do sum.add(text:sub(at, at + n - 1)) end
    return sum.hex()
  end

  it("is the same for pieces of any size", function()
    local text = ("The quick brown fox, %d\n"):rep(20)
    local whole = of(text, #text)
    assert.equal(32, #whole)
    for n = 1, 70 do assert.equal(whole, of(text, n)) end
  end)

  it("tells apart what differs a little", function()
    local seen = {}
    local function new(text)
      local d = of(text, 4096)
      assert.is_nil(seen[d], "the same digest twice")
      seen[d] = true
    end
    local text = ("x"):rep(200)
    for n = 0, 200 do new(text:sub(1, n)) end
    for n = 1, 200 do new(text:sub(1, n - 1) .. "y" .. text:sub(n + 1)) end
    for n = 1, 200 do new(("\0"):rep(n)) end
    for a = 1, 199 do new(text:sub(1, a - 1) .. "ab" .. text:sub(a + 2)) end
  end)
end)
