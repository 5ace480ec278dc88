-- docs/flow-file.md names every key that the plan's reader knows.
local function read(path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

describe("docs/flow-file.md", function()
  local page = read "docs/flow-file.md"

  for _, name in ipairs { "", "_process", "_restart", "_check", "_hooks", "_settings" } do
    local path = "engine/core/plan" .. name .. ".c"
    it("names every key of " .. path, function()
      local n = 0
      for block in read(path):gmatch "keys%[%] = (%b{})" do
        for key in block:gmatch '"([%w_]+)"' do
          n = n + 1
          assert.is_truthy(page:find("`" .. key .. "`", 1, true) or page:find("[{ ]" .. key .. " = "), key)
        end
      end
      assert.is_true(n > 0)
    end)
  end

  it("names every kind of cleanup and its parameters", function()
    local kinds = read("engine/core/plan_cleanup.c"):match "cleanup_kinds%[%] = (%b{})"
    local n = 0
    for kind, params in kinds:gmatch '{"([%w_]+)",%s*"%w+",%s*(%b{})' do -- between them: the helper's action, an inner name
      n = n + 1
      for word in ('"' .. kind .. '"' .. params):gmatch '"([%w_]+)"' do
        assert.is_truthy(page:find("`" .. word .. "`", 1, true), word)
      end
    end
    assert.is_true(n >= 4)
  end)

  it("names every hook", function()
    local n = 0
    for hook in read("engine/core/plan.h"):gmatch 'P%(%u+, "(on_[%w_]+)"' do
      n = n + 1
      assert.is_truthy(page:find("`" .. hook .. "`", 1, true), hook)
    end
    assert.is_true(n >= 4)
  end)
end)
