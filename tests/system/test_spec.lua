-- tend test: a flow's own specs, run by busted.
local cjson = require "cjson"
local h = require "harness"

local FLOW = [[return { name = "own", mode = "server", processes = { main = { "sleep", "1000" } },
  checks = { { name = "closed", check = function() return fs.stat "/closed" == nil, "closed" end } } }]]

local GOOD = [[
local tend = require "testing"
describe("own", function()
  it("is open", function() assert.equal("ok", (tend.load("own", { files = {} }):check "closed")) end)
  it("is closed", function() assert.same({ "fail", "closed" }, { tend.load("own", { files = { ["/closed"] = "" } }):check "closed" }) end)
  it("runs", function() assert.equal("RUNNING", tend.simulate("own").state) end)
end)
]]

describe("tend test", function()
  local function test(args, o)
    o = o or {}
    local words = { "test", table.unpack(args) }
    return h.run { args = words, env = o.env, cwd = o.cwd or "/", bare = true }
  end

  local function folder(files)
    local dir = h.tempdir()
    h.sh("mkdir -p " .. dir .. "/spec")
    h.write(dir .. "/own.lua", FLOW)
    for name, text in pairs(files) do h.write(dir .. "/" .. name, text) end
    return dir
  end

  it("runs the specs beside a flow and below it, wherever it is called", function()
    local code, out, err = test { "own", "--flows", folder { ["own_spec.lua"] = GOOD } }
    assert.equal(0, code, out .. err)
    assert.matches("3 successes / 0 failures / 0 errors", out, 1, true)
    code, out = test { "--flow-name", "own", "--flows", folder { ["spec/own_spec.lua"] = GOOD, ["own_spec.lua"] = GOOD } }
    assert.equal(0, code)
    assert.matches("6 successes", out, 1, true)
  end)

  it("ends with 1 where one fails, or cannot be read", function()
    local dir = folder { ["own_spec.lua"] = GOOD:gsub('"RUNNING"', '"STOPPED"') }
    local code, out = test { "own", "--flows", dir }
    assert.equal(1, code)
    assert.matches("2 successes / 1 failure", out, 1, true)
    h.write(dir .. "/own_spec.lua", "it(")
    assert.equal(1, (test { "own", "--flows", dir }))
  end)

  it("gives JSON and TAP", function()
    local dir = folder { ["own_spec.lua"] = GOOD }
    local _, out = test { "own", "--flows", dir, "--json" }
    assert.equal(3, #cjson.decode(out).successes)
    _, out = test { "own", "--flows", dir, "--tap" }
    assert.matches("1..3\n", out, 1, true)
    assert.matches("ok 3 - own runs", out, 1, true)
  end)

  it("takes nothing from where it is called but PATH", function()
    local dir = folder { ["own_spec.lua"] = GOOD:gsub('"RUNNING"', 'tend.plan("own").mode == "server" and "RUNNING"') }
    h.write(dir .. "/.busted", "error 'this is not ours'")
    local code, out = test({ "own", "--flows", dir }, { cwd = dir, env = { CONTAINER_EXECUTION_MODE = "nonsense", CONTAINER_MIN_FREE_DISK_MB = "x" } })
    assert.equal(0, code, out)
  end)

  it("works as it is installed", function()
    local dir = h.tempdir()
    h.sh(("make -s install BUILD=%s DESTDIR=%s PREFIX=/usr"):format(h.build, h.quote(dir)))
    local p = assert(h.start { argv = { dir .. "/usr/bin/tend", "test", "own", "--flows", folder { ["own_spec.lua"] = GOOD } }, cwd = "/" })
    assert.equal(0, (p:wait()), p.out .. p.err)
  end)

  it("says that there are no specs, where it looked, or that there is no such flow", function()
    local dir = folder {}
    local code, _, err = test { "own", "--flows", dir }
    assert.equal(1, code)
    assert.matches(("tend test: flow own has no specs; looked for %s/own_spec.lua, %s/spec/own_spec.lua"):format(dir, dir), err, 1, true)
    code, _, err = test { "other", "--flows", dir }
    assert.equal(78, code)
    assert.matches('there is no flow "other" in ' .. dir, err, 1, true)
    code, _, err = test {}
    assert.equal(64, code)
    assert.matches("which flow? tend test FLOW", err, 1, true)
    assert.equal(64, (test { "own", "--flaws", dir }))
  end)

  it("says that busted is not installed", function()
    local code, _, err = test({ "own", "--flows", folder { ["own_spec.lua"] = GOOD } }, { env = { PATH = "/nowhere" } })
    assert.equal(69, code)
    assert.matches("busted is not installed", err, 1, true)
    assert.matches("apt-get install lua-busted", err, 1, true)
  end)

  it("runs those of each flow that comes along", function()
    for _, flow in ipairs { "demo", "rpa1", "rpa2", "rpa3" } do
      local code, out, err = test { flow }
      assert.equal(0, code, flow .. out .. err)
      assert.matches("[2-9] successes", out)
    end
  end)
end)

