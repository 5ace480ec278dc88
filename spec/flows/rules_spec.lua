package.path = "./flows/?.lua;" .. package.path
local cjson = require "cjson"

describe("jobs.rules", function()
  local rules

  setup(function()
    _G.json = {
      decode = function(text)
        local ok, value = pcall(cjson.decode, text)
        if ok then return value end
        return nil, { code = "json", message = value }
      end,
    }
    rules = require "jobs.rules"
  end)

  teardown(function() _G.json = nil end)

  it("finds nothing wrong with good records", function()
    for _, payload in ipairs {
      [[{"id": "7", "order_date": "31.01.2024", "quantity": "2", "unit_price": "1,000.50", "total": "2001.00", "currency": "EUR"}]],
      [[{"email": "a.b@example.com", "contact_email": "x@y.org", "note": "", "ok": true, "Order Date": "2024-02-29"}]],
      [[{"date": "", "price": "", "quantity": "", "total": "", "email": ""}]],
    } do
      assert.same({}, rules.broken(payload))
    end
  end)

  it("names everything that is wrong, in the order of the names", function()
    assert.same({
      'currency: expected a code like EUR, got "euro"',
      'date: there is no such day, got "30.02.2024"',
      'email: expected an address like name@example.com, got "a@b"',
      'id: it is empty, got ""',
      'price: expected an amount like 1234.50, got "much"',
      'quantity: expected a whole number, got "1.5"',
    }, rules.broken [[{"quantity": "1.5", "price": "much", "id": " ", "email": "a@b", "date": "30.02.2024", "currency": "euro"}]])
    assert.same({ "total: it is not quantity times price" }, rules.broken [[{"quantity": "2", "price": "3", "total": "7"}]])
    assert.same({ "a: expected a plain value" }, rules.broken [[{"a": {"b": 1}}]])
  end)

  it("refuses what is no record", function()
    for payload, reason in pairs { ["[1]"] = "expected an object", ["null"] = "expected an object", ["{}"] = "it has no fields" } do
      assert.same({ reason }, rules.broken(payload))
    end
  end)

  it("cuts long values between two characters", function()
    local broken = rules.broken(([[{"date": "%s"}]]):format(("\u{20AC}"):rep(500)))
    assert.is_truthy(utf8.len(broken[1]))
    assert.is_true(#broken[1] < 400)
  end)
end)
