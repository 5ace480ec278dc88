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

  it("names an unknown option and the nearest one, and what is missing", function()
    for words, expected in pairs {
      ["run --flow-nam x"] = "did you mean --flow-name",
      ["run --flow-name"] = "--flow-name needs a value",
      ["run --mode simpel"] = "did you mean simple",
      ["run --tty=1"] = "--tty takes no value",
      ["run true"] = "the command to run goes after --",
      ["run --"] = "a command is missing after --",
      ["check --dependancies"] = "did you mean --dependencies",
      ["config --jsno"] = "did you mean --json",
      ["config x"] = 'unexpected argument "x"',
      ["version --bogus"] = "unknown option",
      ["version x"] = 'unexpected argument "x"',
      ["status --jsno"] = "did you mean",
      ["status main"] = "unexpected argument main",
      ["logs a b"] = "unexpected argument b",
      ["maintenance"] = "on|off",
      ["maintenance maybe"] = "expected on or off",
      ["remediate"] = "ACTION",
      ["check-now"] = "NAME",
      ["events --last x"] = "0 to 1000",
      ["script"] = "a file is missing",
      ["helper clen /x"] = "nearest: clean",
      ["explain oom dns"] = "unexpected argument",
    } do
      local list = {}
      for word in words:gmatch("%S+") do list[#list + 1] = word end
      local err = usage(table.unpack(list))
      assert.truthy(err:find(expected, 1, true), words .. ": " .. err)
    end
  end)

  it("takes an empty command for a missing one", function()
    assert.matches("a command is missing after --", usage("run", "--", ""), 1, true)
  end)

  it("ends with 69 when no engine is there to be asked", function()
    for _, words in ipairs { { "status" }, { "why" }, { "stop" }, { "logs" }, { "health" }, { "report" } } do
      local code, out, err = h.run { args = words }
      assert.equal(69, code, words[1])
      assert.equal("", out)
      assert.not_equal("", err)
    end
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

  it("has help wherever it is asked for", function()
    for _, args in ipairs { { "stop", "main", "--help" }, { "run", "--flow-name", "x", "-h" }, { "check", "--json", "--help" } } do
      local code, out = h.run { args = args }
      assert.equal(0, code)
      assert.equal(1, out:find("tend " .. args[1], 1, true))
    end
  end)
end)
