-- Scripts that want too much at once, as checks of one container.
local cjson = require "cjson"
local h = require "harness"
local crashing = require "crashing"

local flow, status = crashing.flow, crashing.status

-- Ways to want too much at once: memory, stack, output, numbers that no data has. What only loops is in tests/unit/test_task.c.
local WANTS = {
  'return ("x"):rep(1e9)',
  'return ("x"):rep(1e7, ("y"):rep(100))',
  'return (""):rep(1e15)',
  'local s = "x" while true do s = s .. s end',
  "local t = {} for i = 1, 1e9 do t[i] = i end",
  "local t = {} while true do t = { t, t } t[3] = ('x'):rep(1000) .. #t end",
  'local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1e6) end return table.concat(t)',
  'local t = {} for i = 1, 1e5 do t[i] = "x" end return #table.concat(t, ("y"):rep(1e4))',
  'return ("%99999d"):format(1)',
  'return ("%.99999f"):format(1)',
  'local s = ("x"):rep(1e7) return ("%s%s%s%s%s%s%s%s%s%s"):format(s, s, s, s, s, s, s, s, s, s)',
  'return (("x"):rep(1e5)):gsub("x", ("y"):rep(1e4))',
  'return (("x"):rep(1e6)):gsub("", ("y"):rep(1e3))',
  'return (("x"):rep(1e5)):gsub("x", function() return ("y"):rep(1e4) end)',
  'local function again() return (("x"):gsub("x", again)) end return again()',
  'return string.pack("s8", ("x"):rep(6e7)) .. string.pack("s8", ("x"):rep(6e7))',
  'return string.pack("!16 i17", 1)',
  'return string.packsize(("i16"):rep(1e6))',
  'return string.unpack("s8", "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x7f")',
  'return load(("x = 1 "):rep(1e7))',
  'return load(function() return "x = 1 " end)',
  'return load(("("):rep(1e6))',
  'return load("return " .. ("{"):rep(1e5))',
  'return load("local " .. ("a,"):rep(300) .. "a")',
  "local function r() return 1 + r() end return r()",
  "local function r(...) return r(1, ...) end return r()",
  "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 1] end return t.x",
  "local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) return tostring(t)",
  "local a, b = setmetatable({}, {}), {} getmetatable(a).__index = a return a.x",
  "local function nest(n) return coroutine.wrap(function() return nest(n + 1) end)() end return nest(0)",
  "local function nest() return pcall(nest) end return nest()",
  "local t = {} for i = 1, 1e6 do t[i] = coroutine.create(function() end) end",
  "return table.unpack({}, 1, 1e7)",
  "return select('#', table.unpack({}, 1, 1e6))",
  "return table.move({}, 1, math.maxinteger, 2)",
  "return table.move({}, 1, 1e9, 2)",
  "return table.remove(setmetatable({}, { __len = function() return math.maxinteger end }), 1)",
  "return table.concat(setmetatable({}, { __len = function() return 1e9 end, __index = function() return ('x'):rep(1e6) end }))",
  "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return math.random() < 0.5 end)",
  "return (('x'):rep(1e7)):byte(1, -1)",
  "return utf8.char(table.unpack({}, 1, 200))",
  "return os.date(('%c'):rep(1e6))",
  "return json.encode(setmetatable({}, { __index = function() return 1 end }))",
  "local t = {} t[1] = t return json.encode(t)",
  "local t = {} for i = 1, 1e5 do t = { t } end return json.encode(t)",
  "return json.decode(('['):rep(1e6))",
  "error(('x'):rep(1e7))",
  "error(setmetatable({}, { __tostring = function() return ('x'):rep(1e7) end }))",
  "local t = {} t.t = t error(t)",
  "return ('x'):rep(1e7)",
  "local t = {} t.t = t return t",
  "log.info(('x'):rep(1e7))",
  "for _ = 1, 500 do log.info(('x'):rep(1e4)) end",
  "for _ = 1, 2000 do print('x') end",
  "local x <close> = setmetatable({}, { __close = function() error(('y'):rep(1e6)) end }) error('x')",
  "for i = 1, 1e5 do local x <close> = setmetatable({}, { __close = function() end }) end",
  "while true do timer.after(100, function() end) end",
  "for i = 1, 1e6 do metrics.counter('m' .. i) end",
  "return #(('ab'):rep(1e6)):gsub('(a)(b)', '%2%1')",
}

describe("a check that wants too much", function()
  it("gets an error, of " .. #WANTS .. " kinds; another one keeps its times, no line of the workload is lost", function()
    local lines = {}
    for i, want in ipairs(WANTS) do
      lines[i] = ("{ name = %q, interval = 600, check = function() %s end },"):format("want" .. i, want)
    end
    local p = flow(([[return { name = "f", mode = "server", processes = { main = { command = { "sh", "-c", "%s" } } },
      checks = { { name = "fine", interval = 1, check = function() return true end },
%s
      } }]]):format(crashing.counter(), table.concat(lines, "\n")))
    p:wait_event("startup_completed")
    h.wait_for(function()
      local _, out = h.ask(p, "status", "--json")
      for _, check in ipairs(cjson.decode(out).checks) do
        if not check.last or check.last == cjson.null then return false end
      end
      return true
    end, 60, "the result of each")
    assert.same({}, p:events("engine_restarted"))
    assert.same({}, p:events("quarantined"))
    h.wait_for(function() -- a run of it may have come to nothing where the processor was all theirs
      for _, check in ipairs(status(p).checks) do
        if check.name == "fine" then return check.last == "ok" end
      end
    end, 10, "the other one is fine")
    p:kill("TERM")
    assert.equal(0, (p:wait()), p.err:sub(-2000))
    crashing.lines(p)
  end)
end)
