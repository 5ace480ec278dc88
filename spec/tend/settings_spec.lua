local half = require "spec.tend.half"

describe("settings", function()
  local declared, values, resolved, settings, required

  before_each(function()
    declared, values, resolved, required = {}, {}, 0, nil
    settings = half("settings", {
      prefix = "CONTAINER_RPA1_",
      declare = function(name, ...)
        declared[#declared + 1] = table.pack(name, ...)
        values[name] = values[name] or { (select(3, ...)) }
      end,
      resolve = function()
        resolved = resolved + 1
      end,
      value = function(name)
        local v = values[name]
        if v then
          return v[1], true
        end
        return nil, false
      end,
      require = function(name)
        required = name
      end,
    })
  end)

  it("declares in the order of names, with types and defaults as text", function()
    settings.declare {
      B = { type = "duration", default = 300, min = 1, secret = true },
      A = { default = { "/a", "/b" }, type = "paths", doc = "Where." },
      C = { choices = { "x", "y" }, default = "x" },
      D = { type = "boolean", default = false },
    }
    assert.equal(1, resolved)
    local function shown(i)
      local d = declared[i]
      return { d[1], d[2], d[3] or "-", d[4] or "-", d[5] or "-", d[7] or "-", d[8] or "-", d[11] or "-" }
    end
    assert.same({ "CONTAINER_RPA1_A", "paths", "-", "/a:/b", "-", "-", "-", "Where." }, shown(1))
    assert.same({ "CONTAINER_RPA1_B", "duration", "s", "300", 1, "-", true, "-" }, shown(2))
    assert.same({ "CONTAINER_RPA1_C", "choice", "-", "x", "-", "x y", "-", "-" }, shown(3))
    assert.same({ "CONTAINER_RPA1_D", "bool", "-", "false", "-", "-", "-", "-" }, shown(4))
  end)

  it("gives values that cannot be changed, and only declared ones", function()
    local set = settings.declare { SIZE = { type = "integer", default = 25 } }
    values.CONTAINER_RPA1_SIZE = { 75 }
    assert.equal(75, set.SIZE)
    assert.error_matches(function() return set.SIZES end, "setting SIZES is not declared here")
    assert.error_matches(function() set.SIZE = 1 end, "cannot be changed")
    local seen = {}
    for name, value in pairs(set) do
      seen[name] = value
    end
    assert.same({ SIZE = 75 }, seen)
  end)

  it("finds a value by the flow's name, tend's own and the full one", function()
    values.CONTAINER_RPA1_X, values.CONTAINER_Y = { 1 }, { 2 }
    assert.equal(1, settings.get "X")
    assert.equal(2, settings.get "Y")
    assert.equal(2, settings.get "CONTAINER_Y")
    assert.is_false(settings.has "Z")
    assert.has_error(function() settings.get "Z" end, "settings.get: there is no setting Z")
  end)

  it("names what is wrong in a declaration", function()
    for text, given in pairs {
      ["settings.declare: a: a name has capitals, digits and _ only"] = { a = {} },
      ["settings.declare: A: unknown key typ"] = { A = { typ = "integer" } },
      ["settings.declare: A.max: expected a number, got string"] = { A = { max = "9" } },
    } do
      assert.has_error(function() settings.declare(given) end, text)
    end
    assert.error_matches(function() settings.declare { A = 5 } end, "expected a table")
    assert.equal(0, resolved)
  end)

  it("requires by the full name", function()
    settings.require "RPA_DB_CONNECTION_STRING"
    assert.equal("CONTAINER_RPA_DB_CONNECTION_STRING", required)
    settings.require "CONTAINER_X"
    assert.equal("CONTAINER_X", required)
  end)
end)
