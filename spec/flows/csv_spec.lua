package.path = "./flows/?.lua;" .. package.path
local csv = require "jobs.csv"

-- Reads a text in pieces of n bytes: a list of fields, or of "reason|raw".
local function read(text, n)
  local at = 1
  local out = {}
  for r in csv.records(function()
    local piece = text:sub(at, at + n - 1)
    at = at + n
    return piece ~= "" and piece or nil
  end) do
    out[#out + 1] = r.fields or (r.reason .. "|" .. r.raw)
  end
  return out
end

local cases = {
  { "nothing", "", {} },
  { "one line", "a,b\n", { { "a", "b" } } },
  { "no newline at the end", "a,b\n1,2", { { "a", "b" }, { "1", "2" } } },
  { "CRLF", "a,b\r\n1,2\r\n", { { "a", "b" }, { "1", "2" } } },
  { "CR alone", "a,b\r1,2\r", { { "a", "b" }, { "1", "2" } } },
  { "a byte order mark", "\xef\xbb\xbfa,b\n", { { "a", "b" } } },
  { "empty fields", "a,,\n,,\n", { { "a", "", "" }, { "", "", "" } } },
  { "empty lines", "\n\na,b\n\n\n1,2\n\n", { { "a", "b" }, { "1", "2" } } },
  { "quotes", '"a","b,c"\n"d ""e""",f\n', { { "a", "b,c" }, { 'd "e"', "f" } } },
  { "a newline in quotes", '"a\nb",c\n"d\r\ne",f', { { "a\nb", "c" }, { "d\r\ne", "f" } } },
  { "empty quotes", '"",""\n"";""\n', { { "", "" }, 'there is text after a quoted field|"";""' } },
  { "a quote inside a plain field", 'a"b,c\n', { { 'a"b', "c" } } },
  { "semicolons", "a;b\n1,5;2\n", { { "a", "b" }, { "1,5", "2" } } },
  { "tabs", "a\tb\n1,5\t2\n", { { "a", "b" }, { "1,5", "2" } } },
  { "text after quotes", 'a,b\n"x"y,z\n1,2\n', { { "a", "b" }, 'there is text after a quoted field|"x"y,z', { "1", "2" } } },
  { "an open quote", 'a,b\n"x,y\n1,2\n3,4', { { "a", "b" }, 'a quoted field is not closed|"x,y', { "1", "2" }, { "3", "4" } } },
  { "an open quote at the end", 'a,b\n1,"x', { { "a", "b" }, 'a quoted field is not closed|1,"x' } },
  { "one column", "a\n1\n\n2\n", { { "a" }, { "1" }, { "2" } } },
  { "an ending separator", "a,b,", { { "a", "b", "" } } },
}

describe("csv.records", function()
  for _, case in ipairs(cases) do
    it("reads " .. case[1] .. ", in pieces of any size", function()
      for n = 1, #case[2] + 1 do assert.same(case[3], read(case[2], n), "pieces of " .. n) end
    end)
  end

  it("counts lines", function()
    local lines = {}
    local done = false
    for r in csv.records(function()
      if done then return nil end
      done = true
      return 'a,b\n"x\ny",1\n\n"bad\n2,3\n'
    end) do
      lines[#lines + 1] = r.line
    end
    assert.same({ 1, 2, 5, 6 }, lines)
  end)

  it("gives a line without an end back in pieces and stays small", function()
    local pieces = 0
    local bytes = 0
    for r in csv.records(function()
      pieces = pieces + 1
      return pieces <= 30 and ("x"):rep(65536) or nil
    end) do
      assert.is_true(#r.raw <= 128 * 1024 + 2)
      bytes = bytes + #r.raw
    end
    assert.equal(30 * 65536, bytes)
  end)

  it("loses no byte of any text", function()
    math.randomseed(7)
    local alphabet = { "a", ",", '"', "\n", "\r", ";", " ", "\0", "\xff", "b" }
    for _ = 1, 2000 do
      local parts = {}
      for i = 1, math.random(0, 60) do parts[i] = alphabet[math.random(#alphabet)] end
      local text = table.concat(parts)
      local whole = read(text, 1000)
      for _, n in ipairs { 1, 2, 7 } do assert.same(whole, read(text, n), ("%q"):format(text)) end
      local raw, at = {}, 1
      for r in csv.records(function()
        local piece = text:sub(at, at + 4)
        at = at + 5
        return piece ~= "" and piece or nil
      end) do
        raw[#raw + 1] = r.raw
      end
      assert.equal((text:gsub("[\r\n]", "")), (table.concat(raw):gsub("[\r\n]", "")), ("%q"):format(text))
    end
  end)
end)

describe("csv.line", function()
  it("writes what is read again", function()
    for _, fields in ipairs {
      { "a", "b" }, { "" }, { "", "" }, { 'say "x"', "a,b", "c\nd", "e\r\nf", ";", "\t", " pad " }, { '"' },
    } do
      local text = "h,h\n" .. csv.line(fields)
      local out = read(text, 3)
      assert.same(fields, out[2])
    end
  end)
end)
