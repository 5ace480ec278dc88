-- Words that tend does not know, and help: contract 1.
local h = require "harness"

describe("the command line", function()
  local function usage(...)
    local code, out, err = h.run { args = { ... } }
    assert.equal(64, code, table.concat({ ... }, " "))
    assert.equal("", out)
    assert.equal(1, select(2, err:gsub("\n", "\n")), "one line: " .. err)
    return err
  end

  it("names an unknown command and the nearest one", function()
    assert.truthy(usage("verison"):find('unknown command "verison"; did you mean "version"', 1, true))
    assert.is_nil(usage("zzzzzzzz"):find("did you mean", 1, true))
    assert.is_nil(usage("helpr"):find('"helper"', 1, true))
    usage()
    usage("")
    usage("help", "verison")
  end)

  it("prints its version and its help", function()
    for _, args in ipairs { { "version" }, { "--version" } } do
      local code, out = h.run { args = args }
      assert.equal(0, code)
      assert.truthy(out:find("^tend %d"))
    end
    for _, args in ipairs { { "help" }, { "--help" }, { "-h" } } do
      local code, out, err = h.run { args = args }
      assert.equal(0, code)
      assert.equal("", err)
      assert.truthy(out:find("\n  version "))
      assert.is_nil(out:find("\n  helper "))
    end
    local code, out = h.run { args = { "version", "--help" } }
    assert.equal(0, code)
    assert.truthy(out:find("^tend version"))
  end)

  it("has help for every command it lists", function()
    local _, list = h.run { args = { "help" } }
    local n = 0
    for name in list:gmatch("\n  ([%l-]+) ") do
      n = n + 1
      local code, out = h.run { args = { name, "--help" } }
      assert.equal(0, code, name)
      assert.truthy(out:find("tend " .. name, 1, true), name)
      local _, same = h.run { args = { "help", name } }
      assert.equal(out, same)
    end
    assert.is_true(n >= 2)
  end)
end)
