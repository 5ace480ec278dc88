-- What is broken is refused whole, named by file, line and key, and disturbs nothing.
local crashing = require "crashing"
local h = require "harness"
local lfs = require "lfs"
local cjson = require "cjson"
local R = require "reloading"

local BODY = [[processes = { main = { command = { "sleep", "1000" } } },
  checks = { { name = "steady", interval = 0.2, check = function() return true end } },]]

-- The engine goes on: the same pid, the same policy, its checks run.
local function undisturbed(r, pid)
  local main, attempts = r:processes().main, r:checks().steady.attempts
  assert.equal(pid, main.pid)
  assert.equal(1, main.runs)
  assert.equal(1, r:status().policy.generation)
  h.wait_for(function() return r:checks().steady.attempts > attempts end, 10, "the check goes on")
end

describe("a broken policy", function()
  local r, pid

  setup(function()
    r = R.start(BODY, { scripts = { ["good.lua"] = "return {}" } })
    pid = r:processes().main.pid
  end)

  local function refused(change, file, line, key, part)
    local before = #r.p:events("policy_rejected")
    local whole = h.read(r.file)
    change()
    local code, err = r:reload()
    assert.equal(1, code)
    assert.truthy(err:find(part, 1, true), err)
    local e = r:wait_count("policy_rejected", before + 1)[before + 1]
    assert.equal("ERROR", e.level)
    assert.equal("operator", e.details.trigger)
    assert.equal(key or "flow file", e.details.key)
    if line then assert.equal(line, e.details.line) end
    if file then assert.truthy((e.details.file or ""):find(file, 1, true), cjson.encode(e.details)) end
    assert.truthy(e.message:find(part, 1, true), e.message)
    os.execute("rm -rf " .. h.quote(r.file))
    h.write(r.file, whole)
  end

  local function flow(text) return function() h.write(r.file, text) end end
  local function with(text) return flow("return { name = \"some\",\n" .. text .. "\n}") end

  it("is refused for its syntax", function()
    refused(flow("return {\n  name = \"some\",\n  processes = {,\n}"), "some.lua", 3, nil, "unexpected symbol")
  end)
  it("is refused for a wrong type, by its key", function()
    refused(with("processes = { main = { command = { 'sleep', '1' }, start_timeout = 'x' } }"), "some.lua", 2,
      "processes.main.start_timeout", "seconds as a number")
  end)
  it("is refused for a misspelt key", function()
    refused(with("proceses = { }"), "some.lua", 2, "proceses", "did you mean \"processes\"?")
  end)
  it("is refused for what is not there to require", function()
    refused(flow("\n\nlocal x = require 'nothing'\nreturn {}"), "some.lua", 3, nil, "there is no script \"nothing\"")
  end)
  it("is refused for scripts that require one another", function()
    r:script("one.lua", "return require 'two'")
    r:script("two.lua", "\nreturn require 'one'")
    refused(flow("return { x = require 'one' }"), "two.lua", 2, nil, "requires itself in a circle")
  end)
  it("is refused for an error of a script that it needs", function()
    r:script("broken.lua", "\n\nerror('broken on purpose')")
    refused(flow("return { x = require 'broken' }"), "broken.lua", 3, nil, "broken on purpose")
  end)
  it("is refused for 10 MB", function()
    refused(flow("return {} --" .. ("x"):rep(10 * 1024 * 1024)), "some.lua", nil, nil, "bytes")
  end)
  it("is refused for 10 MB that it needs", function()
    r:script("large.lua", "return {} --" .. ("x"):rep(10 * 1024 * 1024))
    refused(flow("\nreturn { x = require 'large' }"), "some.lua", 2, nil, "large.lua: has 10485772 bytes")
  end)
  it("is refused for a text that is not UTF-8", function()
    refused(flow("return {\n  name = \"some\",\n  summary = \"caf\xe9\",\n}"), "some.lua", 3, nil, "is not UTF-8")
  end)
  it("is refused for bytecode", function()
    refused(flow(string.dump(function() return {} end)), "some.lua", nil, nil, "compiled Lua")
  end)
  it("is refused for a directory in its place", function()
    refused(function() os.execute("rm " .. r.file .. " && mkdir " .. r.file) end, "some.lua", nil, nil, "is no regular file")
  end)
  it("is refused for a FIFO, without waiting for it", function()
    refused(function() os.execute("rm " .. r.file .. " && mkfifo " .. r.file) end, "some.lua", nil, nil, "is no regular file")
  end)
  it("is refused when it is deleted", function()
    refused(function() os.remove(r.file) end, nil, nil, nil, "a file some.lua in one of these directories")
  end)
  it("is refused for a loop at its top, and holds nothing up meanwhile", function()
    local before = r:checks().steady.attempts
    refused(flow("return { name = \"some\",\n x = (function() while true do end end)() }"), "some.lua", 2, nil, "CPU")
    assert.is_true(r:checks().steady.attempts >= before + 2)
  end)
  it("is refused for memory without end", function()
    refused(flow("local t = {}\nfor i = 1, math.huge do t[i] = ('x'):rep(1000) .. i end return {}"), "some.lua", 2, nil, "some.lua:2: ") -- memory, or CPU where it is slow
  end)
  it("is refused for a setting that is out of bounds", function()
    refused(with("processes = { main = 'true' }, settings = { RESTART_JITTER_PERCENT = 101 }"), nil, nil,
      "CONTAINER_RESTART_JITTER_PERCENT", "0 to 100")
  end)
  it("is refused for a directory that cannot be", function()
    refused(with("processes = { main = 'true' }, directories = { '/dev/null/x' }"), nil, nil, "/dev/null/x", "/dev/null/x")
  end)

  it("has disturbed nothing in all that", function()
    undisturbed(r, pid)
    assert.equal(0, #r.p:events("policy_reloaded"))
    local status = r:status()
    assert.equal("rejected", status.policy.last.result)
    assert.is_string(status.policy.last.detail)
    local code, out = h.ask(r.p, "why")
    assert.equal(0, code)
    assert.truthy(out:find("refused", 1, true), out)
  end)
end)

describe("a file without permission", function()
  it("is refused, with the reason", function()
    local r = R.start(BODY, { uid = h.root and 65534 or nil })
    os.execute("chmod 000 " .. r.file)
    local code, err = r:reload()
    assert.equal(1, code)
    assert.truthy(err:find("some.lua: cannot open: Permission denied", 1, true), err)
    assert.equal("RUNNING", r:status().state)
  end)
end)

describe("scripts", function()
  it("may vanish, and come back", function()
    local r = R.start("processes = require 'parts',", { watch = true,
      scripts = { ["parts.lua"] = "return { main = { command = { 'sleep', '1000' } } }" } })
    local pid = r:processes().main.pid
    h.wait_for(function() return r:status().policy.watching end, 10, "the watch")
    assert(os.rename(r.dir .. "/scripts", r.dir .. "/away"))
    local e = r.p:wait_event("policy_rejected")
    assert.truthy(e.message:find("there is no script \"parts\"", 1, true), e.message)
    assert.equal("watch", e.details.trigger)
    assert.equal(pid, r:processes().main.pid)
    assert(os.rename(r.dir .. "/away", r.dir .. "/scripts"))
    h.wait_for(function() return r:status().policy.last.result == "unchanged" end, 10, "all as before")
    h.write(r.dir .. "/scripts/parts.lua",
      "return { main = { command = { 'sleep', '1000' } }, web = { command = { 'sleep', '1000' } } }")
    r:wait_process("web", "up")
    assert.equal(pid, r:processes().main.pid)
  end)
end)

describe("a storm of reloads", function()
  it("ends in the last version, with nothing disturbed", function()
    local function body(i)
      return BODY:gsub("1000", "1000") .. ("summary = 'version %d', cleanup = { { name = 'c%d', run = function() end } },"):format(i, i)
    end
    local r = R.start(body(0))
    local pid = r:processes().main.pid
    h.wait_for(function() return r:checks().steady.status == "healthy" end, 10, "health")
    local began = r:checks().steady
    local watch = h.stopwatch()
    for i = 1, 300 do -- 100 a second
      r:write(body(i))
      r.p:kill("HUP")
      h.wait_for(function() return watch() >= i / 100 end, 5, "its time")
    end
    h.wait_for(function()
      local list = r.p:events("policy_reloaded")
      local last = list[#list]
      return last and last.message:find("c300", 1, true)
    end, 10, "the last version")
    local n = #r.p:events("policy_reloaded")
    assert.is_true(n < 60, n .. " reloads")
    assert.equal(0, #r.p:events("policy_rejected"))
    local main, steady = r:processes().main, r:checks().steady
    assert.equal(pid, main.pid)
    assert.equal(began.since, steady.since)
    assert.is_true(steady.attempts - began.attempts >= 8, "the check kept its times")
  end)

  it("leaves no descriptor and no child behind", function()
    local r = R.start(BODY)
    local engine = crashing.engine(r.p)
    local function count()
      local n, children = 0, #r.p:children()
      for _ in lfs.dir("/proc/" .. engine .. "/fd") do n = n + 1 end
      return n, children
    end
    local function turn(i)
      r:rewrite(BODY .. ("hooks = { on_start = function() return %d end },"):format(i))
    end
    h.wait_for(function() return h.exists(r.p.dir .. "/logs/events.jsonl") end, 10, "all that comes a moment after the start")
    for i = 1, 10 do turn(i) end
    local n, children = count()
    for i = 1, 100 do turn(i) end
    h.wait_for(function()
      local n2, children2 = count()
      return n2 <= n and children2 <= children
    end, 5, n .. " descriptors, " .. children .. " children")
    assert.equal(engine, crashing.engine(r.p))
  end)

  it("from operators answers each", function()
    local r = R.start(BODY)
    local asked = {}
    for i = 1, 20 do
      asked[i] = h.spawn { args = { "reload", "--state-dir", r.p.dir .. "/state" }, bare = true }
    end
    for i = 1, 20 do assert.equal(0, (asked[i]:wait())) end
    assert.equal(1, r:status().policy.generation)
  end)
end)
