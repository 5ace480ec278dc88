-- The worlds in which specs call functions of flows: fakes, the clock, what a spec forgot.
local tend = require "testing"

-- A function of a flow, as text, in a world.
local function fn_of(world, text)
  return assert(load("return " .. text, "=flow", "t", world.env))()
end

local function call(given, text, ...)
  local world = tend.world(given)
  return world, world:call(fn_of(world, text), 10, ...)
end

local function results(given, text, ...)
  return select(2, call(given, text, ...))
end

describe("a world", function()
  it("has every function that the stubs tell", function()
    local world, n = tend.world { status = {}, metrics = {}, report = {} }, 0
    for path in io.popen("ls scripts/tend/_meta/*.lua"):lines() do
      for name, field in ("\n" .. io.open(path):read "a"):gmatch "\nfunction ([%l_]+)%.([%w_]+)%(" do
        if world.env[name] and not (getmetatable(world.env[name]) or {}).__call then
          n = n + 1
          assert.is_function(world.env[name][field], path .. ": " .. name .. "." .. field)
        end
      end
    end
    assert.is_true(n > 60)
  end)

  it("has the globals of a flow, and no others", function()
    for _, name in ipairs { "io", "debug", "dofile", "loadfile", "package", "describe" } do
      local _, problem = results({}, "function() return " .. name .. " end")
      assert.matches(('variable "%s" is not defined'):format(name), problem, 1, true)
    end
    local _, problem = results({}, "function() mistake = 1 end")
    assert.matches('variable "mistake" is not declared', problem, 1, true)
    assert.same({ true, "nil" }, { results({}, "function() return type(os.execute) end") })
    assert.matches("json.x cannot be set: json cannot be changed", select(2, results({}, "function() json.x = 1 end")), 1, true)
    assert.matches("string.x cannot be set", select(2, results({}, "function() string.x = 1 end")), 1, true)
  end)

  it("checks options as tend does", function()
    local _, problem = results({ http = 200 }, 'function() http.get("http://x/", { timout = 1 }) end')
    assert.matches("http.get.timout: unknown option", problem, 1, true)
  end)

  it("answers probes", function()
    local given = { probes = { http = "refused", tcp = true, dns = { status = "warn", reason = "slow", detail = "2 s" },
      ["*"] = function(params) return params.path == "/a" end } }
    assert.same({ true, "fail", "refused" }, { results(given, 'function() local r = probe.http { url = "http://x/" } return r.status, r.reason end') })
    assert.same({ true, true, "" }, { results(given, 'function() local r = probe.tcp { host = "x", port = 1 } return r.ok, r.detail end') })
    assert.same({ true, true, "warn", "2 s" },
      { results(given, 'function() local r = probe.dns { host = "x" } return r.ok, r.status, r.detail end') })
    assert.same({ true, true, false }, { results(given, 'function() return probe.file { path = "/a" }.ok, probe.file { path = "/b" }.ok end') })
    assert.same({ true, false, "http: so says the test" }, { results(given, [[function()
      local r = probe.all { { "tcp", host = "x", port = 1 }, { "http", url = "http://x/" } } return r.ok, r.detail end]]) })
  end)

  it("says what a spec has forgotten, through every pcall", function()
    local world = tend.world {}
    assert.error_matches(function()
      world:call(fn_of(world, 'function() pcall(probe.http, { url = "http://x/" }) end'))
    end, "no probe.http; give it: probes = { http = … }", 1, true)
    assert.error_matches(function() world:call(fn_of(world, 'function() http.get "http://x/" end')) end, "no http; give it", 1, true)
    assert.error_matches(function() world:call(fn_of(world, 'function() net.tcp { host = "x", port = 1 } end')) end,
      'fakes = { ["net.connect"]', 1, true)
  end)

  it("runs a kind that is written in Lua, unless it is faked", function()
    local lines = { "+PONG", "-ERR" }
    local given = { fakes = { ["net.tcp"] = function()
      return setmetatable({ send = function() return true end, receive = function() return table.remove(lines, 1) end }, { __close = function() end })
    end } }
    local program = require "testing.program"
    local scripts, dir = program.scripts, os.tmpname()
    os.remove(dir)
    os.execute("mkdir -p " .. dir .. "/probes")
    finally(function() program.scripts = scripts os.execute("rm -r " .. dir) end)
    local f = io.open(dir .. "/probes/redis.lua", "w")
    f:write(io.open("docs/probes.md"):read "a":match "```lua\n(.-)```")
    f:close()
    program.scripts = scripts .. ":" .. dir
    local world = tend.world(given)
    local function ask() return world:call(fn_of(world, 'function() local r = probe.redis { host = "x" } return r.status, r.detail end')) end
    assert.same({ true, "ok", "" }, { ask() })
    assert.same({ true, "fail", "-ERR" }, { ask() })
    assert.same({ host = "x", port = 6379 }, world:called "net.tcp"[1][1] and { host = "x", port = world:called "net.tcp"[1][1].port })
    assert.same({ true, "fail", "away" }, { results({ probes = { redis = "away" } },
      'function() local r = probe.redis { host = "x" } return r.status, r.reason end') })
    assert.matches("no such kind", select(2, results({}, 'function() return probe.redos { host = "x" } end')), 1, true)
  end)

  it("takes a fake for any call", function()
    local world = tend.world { fakes = { ["net.tcp"] = function(o) return o.host .. "!" end } }
    assert.same({ true, "x!" }, { world:call(fn_of(world, 'function() return net.tcp { host = "x", port = 1 } end')) })
    assert.same({ host = "x", port = 1 }, world:called "net.tcp"[1][1])
  end)

  it("has files", function()
    local world = tend.world { files = { ["/d/a"] = "one\ntwo\n", ["/d/e/b"] = { text = "", mtime = 5 } }, broken_files = { ["/d/x"] = "eio" } }
    local function run(text) return select(2, world:call(fn_of(world, text))) end
    assert.equal("two", run 'function() local last for line in fs.lines "/d/a" do last = line end return last end')
    assert.same({ { name = "a", type = "file" }, { name = "e", type = "directory" } }, run 'function() return fs.list "/d" end')
    assert.equal(5, run 'function() return fs.stat("/d/e/b").mtime end')
    assert.equal("enoent", run 'function() local _, err = fs.read "/none" return err.code end')
    assert.equal("eio", run 'function() local _, err = fs.read "/d/x" return err.code end')
    run 'function() assert(fs.write_atomic("/d/new", "x")) assert(fs.append("/d/new", "y")) assert(fs.rename("/d/new", "/d/b")) assert(fs.remove "/d/a") end'
    assert.equal("xy", world.files["/d/b"])
    assert.is_nil(world.files["/d/a"])
    assert.equal("efbig", select(2, results({ files = { ["/big"] = ("x"):rep(70000) } }, 'function() return select(2, fs.read "/big").code end')))
  end)

  it("answers HTTP requests and queries", function()
    assert.same({ true, 200, 7, "a/b" }, { results({ http = { ["GET http://x/q"] = { status = 200, json = { n = 7 }, headers = { ["Content-Type"] = "a/b" } } } },
      'function() local r = http.get "http://x/q" return r.status, r:json().n, r.headers["content-type"] end') })
    assert.same({ true, "timeout" }, { results({ http = function() return nil, "timeout" end }, 'function() local _, err = http.get "http://x/" return err.code end') })
    assert.same({ true, 3, 2 }, { results({ postgres = function(sql, a) return sql:find "count" and { { n = a } } or 2 end }, [[function()
      return postgres.query("rpa_db", "select count(*) as n", 3)[1].n, postgres.execute("rpa_db", "delete from t") end]]) })
    assert.same({ true, "kept" }, { results({ postgres = { { n = 1 } } },
      'function() return postgres.transaction("rpa_db", function(s) return s:query "select 1"[1].n == 1 and "kept" end) end') })
  end)

  it("runs no commands, but says what came of them", function()
    local world, _, ok, code, output = call({ commands = { df = { code = 1, output = "no" }, ["ls /a"] = 0 } }, [[function()
      local a, b = process.run { "ls", "/a" }, process.run { "df" } return a.ok, b.code, b.output end]])
    assert.same({ true, 1, "no" }, { ok, code, output })
    assert.equal("df", world:called "process.run"[2][1][1])
  end)

  it("has processes of the plan, and commands that go on", function()
    local world = tend.world { commands = { job = { code = 2, output = "half" } }, outputs = { main = "one\ntwo\n" },
      status = { processes = { { name = "main" } } } }
    assert.same({ true, true, 1, "two\n" }, { world:call(fn_of(world, [[function()
      return assert(process.restart "main"), process.signal("main", "HUP"), process.output("main", { lines = 1 }) end]])) })
    assert.same({ { "main" } }, world:called "process.restart")
    assert.same({ { "main", "HUP" } }, world:called "process.signal")
    assert.same({ true, true, 2, false }, { world:call(fn_of(world, [[function()
      local c <close> = assert(process.spawn { "job" }) local before = c:running() return before, c:wait().code, c:running() end]])) })
    assert.matches("process.restart.waitt: unknown option",
      select(2, world:call(fn_of(world, 'function() process.restart("main", { waitt = 1 }) end'))), 1, true)
  end)

  it("has a clock that moves when something waits, and timers", function()
    local world = tend.world { now = 1000 }
    local _, waited = world:call(fn_of(world, "function() local t = clock.monotonic() timer.sleep(5) return clock.monotonic() - t end"))
    assert.equal(5, waited)
    assert.equal(1005, world.now)
    world:call(fn_of(world, 'function() timer.every(10, function() log.info("tick") end) timer.after(25, function() error "oops" end) end'))
    world:advance "1m"
    assert.equal(6, #world.log)
    assert.equal(1065, world.now)
    assert.matches("oops", world.errors[1], 1, true)
    assert.same({ true, "1970-01-01T00:17:45.000Z" }, { world:call(fn_of(world, "function() return clock.format() end")) })
  end)

  it("ends what is over its time, and what never ends", function()
    local world = tend.world { now = 0 }
    assert.same({ false, "timeout" }, { world:call(fn_of(world, "function() pcall(timer.sleep, 100) return 1 end"), 10) })
    assert.equal(10, world.now)
    assert.same({ true, 2 }, { world:call(fn_of(world, "function() timer.sleep(9) return 2 end"), 10) })
  end)

  it("counts metrics, and loads modules of scripts", function()
    local world = tend.world {}
    world:call(fn_of(world, [[function()
      local c = metrics.counter("x_total", "x", { "a" }) c:inc(2, { a = "b" }) c:inc(1, { a = "b" })
    end]]))
    assert.same({ ["x_total{b}"] = 3 }, world.metrics)
    local scale = world:require "policies.scale"
    assert.equal(2.5, scale.by_backlog { max = 4, per_instance = 10, backlog = function() return 25 end }.measure())
  end)

  it("has cron jobs at their times", function()
    local world = tend.world { now = 1767225600 } -- a Thursday, 00:00
    world:call(fn_of(world, [[function()
      cron.every("30 3 * * mon-fri", function() log.info("night " .. clock.format():sub(1, 10)) end, { utc = true })
    end]]))
    world:advance "5d"
    local days = {}
    for i, line in ipairs(world.log) do days[i] = line.message end
    assert.same({ "night 2026-01-01", "night 2026-01-02", "night 2026-01-05" }, days)
    assert.same({ true, 1772323200 }, { world:call(fn_of(world, 'function() return cron.parse("0 0 1 mar *", { utc = true }):next() end')) })
    assert.same({ true, "cron" }, { world:call(fn_of(world, 'function() return select(2, cron.parse "61 * * * *").code end')) })
    assert.same({ true, true, false }, { world:call(fn_of(world, [[function() local c = cron.parse("*/20 * * * * *", { utc = true })
      return c:matches(40), c:matches(41) end]])) })
  end)

  it("has events and a kept table", function()
    local world = tend.world { state = { n = 1 } }
    world:call(fn_of(world, [[function()
      event.subscribe("process_exited", function(e) state.n = state.n + e.details.exit_code event.emit("seen", { n = state.n }) end)
    end]]))
    world:emit("process_exited", { exit_code = 3 })
    world:emit("process_started", {})
    assert.equal(4, world.state.n)
    assert.same({ n = 4 }, world:called "event.emit"[1][2])
    assert.same({ true, "seen" }, { world:call(fn_of(world, [[function()
      timer.after(5, function() event.emit "seen" end) return event.wait("seen", 10).event end]])) })
    assert.same({ true, "timeout" }, { world:call(fn_of(world, 'function() return select(2, event.wait("never", 5)).code end')) })
    assert.same({ true, 2 }, { world:call(fn_of(world, 'function() return #event.list { name = "seen" } end')) })
  end)

  it("tries again as retry does", function()
    local n = 0
    local world = tend.world { now = 0, http = function() n = n + 1 if n < 3 then return nil, "refused" end return 200 end }
    assert.same({ true, 200 }, { world:call(fn_of(world,
      'function() return (retry { attempts = 5, jitter = 0 } (function() return http.get "http://x/" end)).status end')) })
    assert.equal(3, world.now)
  end)
end)
