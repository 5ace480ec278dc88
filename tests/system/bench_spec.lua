-- The bench itself works: a few samples of two figures, its page, its refusals. Times decide nothing here.
local h = require "harness"

local function bench(args, env)
  local argv = { "/usr/bin/lua5.4", "tests/bench/bench.lua" }
  table.move(args, 1, #args, 3, argv)
  local all = { BUILD = h.build, LUA_CPATH = os.getenv "LUA_CPATH", LUA_PATH = os.getenv "LUA_PATH" }
  for k, v in pairs(env or {}) do all[k] = v end
  local p = assert(h.start { argv = argv, env = all, cwd = h.top })
  local code = p:wait(60)
  local out, err = p.out, p.err
  p:close()
  return code, out, err
end

describe("make bench", function()
  it("measures and writes a page of tables with limits", function()
    local page = h.tempdir() .. "/page.md"
    local code, out, err = bench { "--quick", "--out", page, "start,stop" }
    assert.equal("", err)
    assert.equal(0, code)
    assert.truthy(out:find("tend, demo%s+[%d.,]+%s+[%d.,]+ – [%d.,]+%s+3%s+[%d.]+%s+≤ 6.00 × floor"), out)
    local text = h.read(page)
    assert.truthy(text:find("^# Benchmarks\n\n<!%-%- written by `make bench` %-%->\n\nMeasured on %d%d%d%d%-%d%d%-%d%d on "))
    for _, part in ipairs {
      "| figure | tend | | limit |\n", "## Start\n", "## Stop\n", "### Exec of the supervisor to its child's first instruction, ms\n",
      "### SIGTERM to the supervisor gone, ms\n", "\n| floor | ", "\n| **tend, rpa1** | ", "| ≤ 20.0 × floor",
    } do
      assert.truthy(text:find(part, 1, true), part .. " is not in the page:\n" .. text)
    end
    for line in text:gmatch "\n(| [^\n]*)" do
      if line:find("floor again", 1, true) then assert.truthy(line:find "^| floor again | [%d.]+ | [%d.]+ – [%d.]+ | 3 | [%d.]+ |  |$", line) end
    end
  end)

  it("refuses a figure that is not there, and names those that are", function()
    local code, _, err = bench { "--quick", "nonsense" }
    assert.equal(64, code)
    assert.truthy(err:find('no figure "nonsense"; there are start, restart', 1, true))
  end)
end)
