-- The prompt's printer, help and completion, without an engine.
_G.json = _G.json or { null = {} }

local function load_half(name, ...)
  return assert(loadfile("scripts/tend/" .. name .. ".lua"))(...)
end

local core = {
  where = function() return "file.lua:1" end,
  is_module = function() return false end,
  stubs = [[
---Looks.
---@class probe
probe = {}

---@class tend.probe.http
---@field url string where
---@field timeout? number seconds

---Asks. And more.
---@async
---@param params tend.probe.http
---@return table
function probe.http(params) end

---@param name string
---@param options? { wait?: boolean, last?: integer }
function restart(name, options) end
]],
}
local print_ = load_half("repl_print", core)
local help = load_half("repl_help", core)
local complete = load_half("repl_complete", core, help, print_.is_name)

local function text(v, o)
  return (print_.text(v, o))
end

describe("the printer", function()
  it("writes values as Lua", function()
    assert.equal("nil", text(nil))
    assert.equal("1.0", text(1.0))
    assert.equal("0.1", text(0.1))
    assert.equal("0/0", text(0 / 0))
    assert.equal("-math.huge", text(-math.huge))
    assert.equal('"a\\"\\\\\\n\\x1b"', text 'a"\\\n\27')
    assert.equal('"é\\xc2\\x9b"', text "é\xc2\x9b")
    assert.equal('"\\xc3"', text "\xc3")
    assert.equal('{ 1, 2, [1.5] = 6, a = 5, ["end"] = 3, ["x y"] = 4 }', text { 1, 2, ["end"] = 3, ["x y"] = 4, a = 5, [1.5] = 6 })
  end)

  it("breaks what is too wide, names cycles, and survives hostile metatables", function()
    assert.equal('{\n  a = "' .. ("x"):rep(50) .. '",\n  b = "' .. ("y"):rep(50) .. '",\n}', text { a = ("x"):rep(50), b = ("y"):rep(50) })
    local t = { list = {} }
    t.list[1] = t
    assert.equal("{ list = { <cycle: _> } }", text(t))
    assert.equal("{}", text(setmetatable({}, { __pairs = function() error "no" end })))
    assert.equal("<table>", text(setmetatable({}, { __tostring = function() error "no" end })))
    assert.equal("<error timeout: too late>", text(setmetatable({ code = "timeout", message = "too late" }, { __name = "error" })))
    local deep = {}
    local at = deep
    for _ = 1, 30 do at.x = {} at = at.x end
    local shown, cut = print_.text(deep)
    assert.is_true(cut)
    assert.matches("{ … }", shown, 1, true)
    assert.is_false(select(2, print_.text(deep, { full = true })))
  end)

  it("cuts long lists and texts, and not when the whole is wanted", function()
    local list = {}
    for i = 1, 1000 do list[i] = i end
    local shown, cut = print_.text(list)
    assert.is_true(cut)
    assert.matches("%-%- 950 more", shown)
    shown, cut = print_.text(list, { full = true })
    assert.is_false(cut)
    assert.equal(1000, select(2, shown:gsub(",", "")))
    shown, cut = print_.text(("é"):rep(1000))
    assert.is_true(cut)
    assert.truthy(utf8.len(shown))
  end)

  it("makes plain values for JSON", function()
    local t = { 1, x = print }
    t.self = t
    assert.same({ ["1"] = 1, x = "<function file.lua:1>", self = "<cycle>" }, print_.plain(t))
    assert.same({ 1, 2 }, print_.plain { 1, 2 })
    assert.equal("0/0", print_.plain(0 / 0))
  end)
end)

describe("help", function()
  it("has signature, words, parameters with their fields", function()
    assert.same({ "probe.http(params)", "  Asks. And more.", "  Waits.", "  params: tend.probe.http", "    url: string  -- where",
      "    timeout?: number  -- seconds", "  returns table" }, help.lines "probe.http")
    assert.equal("Asks.", help.first_line "probe.http")
    assert.is_nil(help.lines "nothing")
    assert.matches("probe.http%(params%) +Asks%.", help.lines("probe")[3])
  end)
end)

describe("completion", function()
  local api = { restart = function() end, probe = { http = function() end } }
  local function at(line)
    local found = complete.at(line, {
      env = { mine = 1, t = { field = 1, ["not a name"] = 2 } }, api = api, modules = { "fs" }, live = function() end,
      name_of = function(fn) return fn == api.probe.http and "probe.http" or nil end,
      names = function(kind) return kind == "process" and { "main", "make it" } or {} end,
    })
    local list = {}
    for i, item in ipairs(found.items) do list[i] = item.text end
    return table.concat(list, " "), found.from, found
  end

  it("knows globals, fields, names in texts, keys of options", function()
    assert.equal("mine", (at "mi"))
    assert.same({ "field", 7 }, { (at "x = t.f"), (select(2, at "x = t.f")) })
    assert.equal("http", (at "return probe."))
    assert.equal("main make it", (at 'restart "ma'))
    assert.equal("main make it", (at "restart('m"))
    assert.equal("", (at 'print "ma'))
    assert.equal("url = ", (at "probe.http { u"))
    assert.equal("url = ", (at "probe.http({ timeout = 5, u"))
    assert.equal("wait = ", (at 'restart("main", { w'))
    assert.equal("", (at "-- mi"))
    assert.equal("", (at "f().mi"))
    assert.equal("", (at "mine.x.y"))
    local _, _, found = at "probe.ht"
    assert.equal("probe.http(params)", found.items[1].signature)
    _, _, found = at "probe.http("
    assert.equal("probe.http(params)", found.hint.signature)
  end)
end)
