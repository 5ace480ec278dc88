-- The tests of the machine can fail: bugs planted into copies of it are noticed, each of them.
local h = require "harness"

describe("planted bugs", function()
  it("turn the machine's tests red", function()
    if h.build ~= "build" then return pending("in the plain build only: they are built anew") end
    local p = h.start { argv = { "/bin/bash", "tests/unit/planted.sh" }, env = { BUILD = h.build }, cwd = h.top }
    local code = p:wait(150)
    assert.equal(0, code, p.out .. p.err)
    assert.is_true(tonumber(p.out:match "(%d+) bugs planted, 0 unnoticed") >= 50)
  end)
end)
