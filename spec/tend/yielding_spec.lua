-- Against what Lua's own library does with the same arguments.
local half = require "spec.tend.half"
local yielding = half("yielding", {})

local function less(a, b)
  return a < b
end

local function sort(list, order)
  yielding.sort(list, #list, order, {}, {})
  return list
end

local SIZES = { 2, 3, 7, 8, 9, 15, 16, 17, 31, 64, 65, 100, 1000, 4097 }
local KINDS = {
  random = function() return math.random(1000000) end,
  ascending = function(i) return i end,
  descending = function(i) return -i end,
  equal = function() return 1 end,
  few = function() return math.random(3) end,
  text = function() return tostring(math.random(1000)) end,
}

local function numbers(n, kind)
  local list = {}
  for i = 1, n do list[i] = KINDS[kind](i) end
  return list
end

describe("sort", function()
  it("orders what the library orders, of every size and kind", function()
    for kind in pairs(KINDS) do
      for _, n in ipairs(SIZES) do
        local list = numbers(n, kind)
        local expected, down = { table.unpack(list) }, { table.unpack(list) }
        table.sort(expected)
        assert.same(expected, sort({ table.unpack(list) }), kind .. n)
        assert.same(expected, sort({ table.unpack(list) }, less), kind .. n)
        table.sort(down, function(a, b) return a > b end)
        assert.same(down, sort(list, function(a, b) return a > b end), kind .. n)
      end
    end
  end)

  it("keeps what is neither before nor behind as it was", function()
    local list = {}
    for i = 1, 500 do list[i] = { key = math.random(5), i = i } end
    sort(list, function(a, b) return a.key < b.key end)
    for i = 2, #list do
      local a, b = list[i - 1], list[i]
      assert.is_true(a.key < b.key or a.key == b.key and a.i < b.i)
    end
  end)

  it("ends with the same elements whatever the order says", function()
    for _, order in ipairs {
      function() return true end, function() return false end, function() return math.random(2) == 1 end,
      function(a, b) return a <= b end,
    } do
      for _, n in ipairs(SIZES) do
        local list = sort(numbers(n, "ascending"), order)
        table.sort(list)
        assert.same(numbers(n, "ascending"), list)
      end
    end
  end)

  it("writes only when all is in order: an error leaves the list as it was", function()
    local list, calls = numbers(100, "random"), 0
    local before, problem = { table.unpack(list) }, {}
    local ok, err = pcall(sort, list, function(a, b)
      calls = calls + 1
      if calls == 300 then error(problem) end
      return a < b
    end)
    assert.is_false(ok)
    assert.equal(problem, err)
    assert.same(before, list)
  end)

  it("uses the elements' own order, and reads and writes through metamethods", function()
    local order = { __lt = function(a, b) return a.n < b.n end }
    local list = {}
    for i = 1, 100 do list[i] = setmetatable({ n = i * 37 % 101 }, order) end
    sort(list)
    for i = 2, 100 do assert.is_true(list[i - 1].n < list[i].n) end
    local behind, written = { 3, 1, 2 }, 0
    local front = setmetatable({}, {
      __index = behind,
      __len = function() return #behind end,
      __newindex = function(_, k, v)
        written = written + 1
        behind[k] = v
      end,
    })
    sort(front)
    assert.same({ 1, 2, 3 }, behind)
    assert.equal(3, written)
  end)

  it("tells of what cannot be compared without a line of its own", function()
    local ok, err = pcall(sort, { 1, "a" })
    assert.is_false(ok)
    assert.matches("attempt to compare string with number", err)
    assert.not_matches("scripts/tend", err)
  end)

  it("may be left and come back to in the order", function()
    local asked, sorted = 0, nil
    local co = coroutine.wrap(function()
      sorted = sort(numbers(50, "descending"), function(a, b)
        coroutine.yield(a)
        return a < b
      end)
      return "done"
    end)
    while co() ~= "done" do asked = asked + 1 end
    assert.is_true(asked > 49)
    for i = 2, 50 do assert.is_true(sorted[i - 1] < sorted[i]) end
  end)
end)

describe("gsub", function()
  local PATTERNS = {
    "", "a", "a*", "a-", "%w+", "%w*", "^%w+", "^", "$", "()", "()a", "(a)(b)", "(a*)(b*)", "%f[%w]%w+", "%s*$", "^%s*", ".", "..",
    "%b()", "[^a]", "(a)%1", "b$", "x", "a?", "(.)(.)(.)",
  }
  local TEXTS = { "", "a", "b", "ab", "aab", "abab", "hello (world) ab", "aaa bbb aab", "  padded  ", "a\0b\0", "((a)(b))" }
  local ANSWERS = {
    function(...) return "<" .. table.concat({ ... }, ",") .. ">" end,
    function(x) return x == "a" and "A" or nil end,
    function() return false end,
    function(x) return #tostring(x) end,
    function() return "" end,
    setmetatable({}, { __index = function(_, key) return key ~= "b" and "[" .. key .. "]" end }),
  }

  it("gives what the library gives, of texts, patterns, answers and limits", function()
    for _, pattern in ipairs(PATTERNS) do
      for _, text in ipairs(TEXTS) do
        for i, answer in ipairs(ANSWERS) do
          for _, most in ipairs { #text + 1, 0, 1, 2, -1 } do
            assert.same({ text:gsub(pattern, answer, most) }, { yielding.gsub(text, pattern, answer, most) },
              ("%q %q %d %d"):format(text, pattern, i, most))
          end
        end
      end
    end
  end)

  it("gives what the library gives of texts by chance", function()
    for _ = 1, 2000 do
      local text = {}
      for i = 1, math.random(0, 12) do text[i] = ("ab (),"):sub(math.random(6)):sub(1, 1) end
      text = table.concat(text)
      local pattern = PATTERNS[math.random(#PATTERNS)] .. PATTERNS[math.random(#PATTERNS)]:gsub("[%^%%]1?", "")
      local ok, expected, n = pcall(string.gsub, text, pattern, ANSWERS[1])
      local ok2, given, n2 = pcall(yielding.gsub, text, pattern, ANSWERS[1], #text + 1)
      assert.equal(ok, ok2, pattern)
      if ok then assert.same({ expected, n }, { given, n2 }, ("%q %q"):format(text, pattern)) end
    end
  end)

  it("refuses what the library refuses, and passes on what the function raises", function()
    for _, case in ipairs {
      { "[", string.upper, "malformed pattern" },
      { "%", string.upper, "malformed pattern" },
      { "(", string.upper, "unfinished capture" },
      { ".", function() return {} end, "invalid replacement value %(a table%)" },
      { ".", function() return true end, "invalid replacement value %(a boolean%)" },
    } do
      local ok, err = pcall(yielding.gsub, "abc", case[1], case[2], 4)
      assert.is_false(ok)
      assert.matches(case[3], err)
      assert.not_matches("scripts/tend", err)
    end
    local problem = {}
    assert.equal(problem, select(2, pcall(yielding.gsub, "abc", ".", function() error(problem) end, 4)))
  end)
end)

describe("read", function()
  local function reader(...)
    local pieces, i = { ... }, 0
    return function()
      i = i + 1
      return pieces[i]
    end
  end

  it("gives all that a reader reads", function()
    assert.equal("", yielding.read(reader(), 100))
    assert.equal("return 1", yielding.read(reader("return", " ", "1"), 100))
    assert.equal("a", yielding.read(reader("a", "", "b"), 100))
  end)

  it("gives what was wrong", function()
    local problem = {}
    assert.same({ n = 2, nil, problem }, table.pack(yielding.read(function() error(problem) end, 100)))
    assert.same({ n = 2, nil, "reader function must return a string" }, table.pack(yielding.read(reader("a", {}), 100)))
  end)

  it("reads no more than is wanted", function()
    assert.equal(104, #yielding.read(function() return "12345678" end, 100))
  end)
end)
