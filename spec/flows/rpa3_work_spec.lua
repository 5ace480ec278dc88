package.path = "./flows/?.lua;" .. package.path
local cjson = require "cjson"

describe("jobs.rpa3_work", function()
  local work

  setup(function()
    -- the engine's json, as far as it is used
    _G.json = {
      encode = cjson.encode,
      decode = function(text)
        local ok, value = pcall(cjson.decode, text)
        if ok then return value end
        return nil, { code = "json", message = value }
      end,
    }
    package.loaded["jobs.rpa3_work"] = nil
    work = require "jobs.rpa3_work"
  end)

  teardown(function() _G.json = nil end)

  it("makes of an object what a record becomes", function()
    local result = cjson.decode((work.result [[{"id": "7", "order_date": "31.01.2024", "quantity": " 2 ", "price": "1,000.50", "ok": true}]]))
    assert.same({ id = "7", order_date = "2024-01-31", quantity = "2", price = "1000.50", total = "2001.00", ok = "true" }, result)
    assert.equal("{}", (work.result "{}"))
  end)

  it("gives the same result for the same payload", function()
    local payload = [[{"b": "1", "a": "2", "price": "3", "quantity": "4"}]]
    assert.equal((work.result(payload)), (work.result(payload)))
  end)

  it("says why there is none", function()
    for payload, reason in pairs {
      ["[1]"] = "expected an object", ["3"] = "expected an object", ["null"] = "expected an object",
      [ [[{"a": {}}]] ] = "a: expected a plain value", [ [[{"a": ["x"]}]] ] = "a: expected a plain value",
      [ [[{"date": "32.01.2024"}]] ] = "date: there is no such day", [ [[{"price": "much"}]] ] = "price: expected an amount",
      [ [[{"a": "1", " a": "2"}]] ] = "a: there are two fields of that name",
    } do
      local result, why = work.result(payload)
      assert.is_nil(result)
      assert.matches(reason, why, 1, true)
    end
  end)
end)
