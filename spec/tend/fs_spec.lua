local half = require "spec.tend.half"

describe("fs", function()
  local function json_stub(text)
    return { decoded = text }
  end

  local function engine(answer)
    local seen
    local fs = half("fs", {
      fail = function(code, message)
        return nil, { code = code, message = message }
      end,
    }, {
      json = { decode = json_stub },
      process = {
        run = function(command)
          seen = command
          return answer(command)
        end,
      },
    })
    return fs, function() return seen end
  end

  it("asks a helper in the engine", function()
    local fs, seen = engine(function() return { code = 0, output = "out" } end)
    assert.equal("out", fs.read("/a", { offset = 5, max = 10 }))
    local command = seen()
    assert.same({ "tend", "helper", "fs", "read", "/a", "--offset", "5", "--max", "10" }, { table.unpack(command) })
    assert.is_true(fs.write_atomic("/b", "text"))
    assert.equal("text", seen().input)
    assert.is_true(fs.rename("/a", "/b"))
    assert.same({ "tend", "helper", "fs", "rename", "/a", "/b" }, { table.unpack(seen()) })
    assert.same({ decoded = "out" }, fs.stat("/a"))
  end)

  it("gives the helper's errors", function()
    local fs = engine(function() return { code = 1, output = "enoent cannot stat /a: No such file or directory\n" } end)
    local none, err = fs.stat("/a")
    assert.is_nil(none)
    assert.same({ code = "enoent", message = "cannot stat /a: No such file or directory" }, err)
    assert.is_false(fs.exists("/a"))
    fs = engine(function() return nil, { code = "timeout" } end)
    assert.same({ nil, { code = "timeout" } }, { fs.exists("/a") })
    fs = engine(function() return { code = 0, output = "x", cut = true } end)
    assert.equal("efbig", select(2, fs.read("/a")).code)
  end)

  it("reads lines over the borders of pieces", function()
    local text = ("x"):rep(32760) .. "\n" .. ("y"):rep(40) .. "\n\nlast"
    local fs = half("fs", {
      direct = true,
      call = function(_, _, _, _, offset, max)
        return text:sub(offset + 1, offset + max)
      end,
    }, { json = {}, process = {} })
    local lines = {}
    for line in fs.lines("/a") do
      lines[#lines + 1] = #line
    end
    assert.same({ 32760, 40, 0, 4 }, lines)
  end)

  it("raises for mistakes", function()
    local fs = engine(function() return { code = 0, output = "" } end)
    assert.error_matches(function() fs.read() end, "fs.read: expected a path, got nil")
    assert.error_matches(function() fs.write_atomic("/a", 5) end, "expected text, got number")
    assert.error_matches(function() fs.rename("/a") end, "expected a second path")
  end)
end)
