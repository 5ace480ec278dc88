-- What bad clients of the control socket can do: nothing but to themselves. A signal reaches the workload meanwhile, others are
-- served, memory is bounded, and the engine tells what was wrong.
local h = require "harness"
local native = require "native"
local control = require "control"
local cjson = require "cjson"

-- Its main process tells each USR1.
local function run(flow)
  local dir = h.tempdir()
  h.write(dir .. "/hostile.lua", flow or [[return { mode = "server", processes = { main = { command = { "sh", "-c",
    "n=0; trap 'n=$((n+1)); echo got $n' USR1; echo up; while :; do sleep 1000 & wait $!; done" } } } }]])
  local p = h.spawn { args = { "run", "--flow-name", "hostile", "--flows", dir } }
  p:wait_line "^up$"
  p:wait_event "startup_completed"
  p.signals = 0
  return p
end

-- A signal arrives, and another client is answered, at once (the bound is that of a busy machine; the benches measure).
local function fine(p, c)
  p.signals = p.signals + 1
  local watch = native.now()
  p:kill "USR1"
  p:wait_line("^got " .. p.signals .. "$", 5)
  assert.is_true(native.now() - watch < 1, "the signal came late")
  watch = native.now()
  c = c or control.connect(p)
  assert.is_true(c:ask("status").ok)
  assert.is_true(native.now() - watch < 2, "the answer came late")
end

describe("a bad client", function()
  it("that sends half a frame is dropped after 5 s, one that reads nothing after 10 s; what waits for it is bounded", function()
    local p = run [[
      control.command { name = "babble", help = "prints for ever", timeout = 60, run = function() while true do print(("x"):rep(10000)) end end }
      return { mode = "server", processes = { main = { command = { "sh", "-c",
        "n=0; trap 'n=$((n+1)); echo got $n' USR1; echo up; while :; do sleep 1000 & wait $!; done" } } } }
    ]]
    local _, before = control.engine(p)
    for _ = 1, 20 do control.connect(p):send "babble" end
    local slow, drip, bare = control.connect(p), control.connect(p), control.connect(p)
    slow:raw(string.pack(">I4", 1000) .. '{"v": 1')
    bare:raw "\0\0"
    drip:raw(string.pack(">I4", 1000))
    fine(p)
    local began = native.now()
    local ended
    repeat -- one byte now and then does not help
      drip:raw(" ", 0.1)
      native.poll({ drip.fd }, 200)
      ended = not drip:pump()
    until ended or native.now() - began > 9
    assert.is_true(ended)
    for _, c in ipairs { slow, bare, drip } do
      local last = c:closed()
      assert.equal("too-slow", last.code)
      assert.truthy(last.error:find("not whole within 5 s", 1, true))
    end
    fine(p)
    local most = before
    h.wait_for(function()
      most = math.max(most, select(2, control.engine(p)))
      native.poll({}, 100)
      return #p:events "audit" >= 40
    end, 25, "the end of those who do not read")
    assert.is_true(most - before < 60 * 1024, ("%d KiB more"):format(most - before))
    for _, e in ipairs(p:events "audit") do assert.is_true(e.details.outcome == nil or e.details.outcome == "cancelled") end
    fine(p)
  end)

  it("whose frame is too large is told so at once, before anything is held for it", function()
    local p = run()
    local _, before = control.engine(p)
    for _, size in ipairs { 64 * 1024 * 1024, 262145, 0xffffffff, 0 } do
      local c = control.connect(p)
      c:raw(string.pack(">I4", size) .. ("x"):rep(100000), 1)
      local last = c:closed()
      assert.equal("too-large", last.code)
      assert.equal("a request has 1 to 262144 bytes", last.error)
    end
    local c = control.connect(p) -- one that goes on sending its 64 MB
    local taken = c:raw(string.pack(">I4", 64 * 1024 * 1024) .. ("x"):rep(64 * 1024 * 1024), 5)
    assert.is_true(taken < 4 * 1024 * 1024, taken .. " bytes were taken")
    local _, after = control.engine(p)
    assert.is_true(after - before < 8 * 1024, ("%d KiB more"):format(after - before))
    fine(p)
    assert.is_true(control.connect(p):ask("status", nil, { fill = ("x"):rep(262000) }).ok) -- what is just allowed
  end)

  it("whose frames are no JSON, no UTF-8, nested deeply, or no requests is told what is wrong", function()
    local p = run()
    for _, case in ipairs {
      { '{"v": 1, "id": 1', "not valid JSON" },
      { "\xff\xfe{}", "not UTF-8" },
      { '{"v": 1, "op": "\xc0\xaf"}', "not UTF-8" },
      { '{"v": 1, "op": "status", "args": {"\xed\xa0\x80": 1}}', "not UTF-8" },
      { '{"v": 1, "op": "stat\\u0000us"}', "NUL" },
      { ("["):rep(100000), "nested deeper than 32 levels" },
      { '{"v": 1, "op": "status", "args": ' .. ('{"a": '):rep(50) .. "1" .. ("}"):rep(51), "nested deeper" },
      { "[1, 2]", "expected \"v\": 1" }, { '"text"', "expected \"v\": 1" }, { "null", "expected \"v\": 1" },
      { '{"v": "1", "op": "status"}', "expected \"v\": 1" },
      { '{"v": 1, "op": ["status"]}', 'expected {"v": 1' },
      { '{"v": 1, "op": "status", "args": [1]}', 'expected {"v": 1' },
      { '{"v": 1, "id": -1, "op": "status"}', 'expected {"v": 1' },
      { '{"v": 1, "id": 1e300, "op": "status"}', 'expected {"v": 1' },
      { '{"v": 1, "id": {}, "op": "status"}', 'expected {"v": 1' },
    } do
      local c = control.connect(p)
      c:raw(control.frame(case[1]))
      local last = c:closed()
      assert.is_false(last.ok)
      assert.truthy(last.error:find(case[2], 1, true), case[1]:sub(1, 60) .. ": " .. last.error)
    end
    local c = control.connect(p)
    assert.equal("unknown", c:ask(("x"):rep(200000)).code)
    assert.equal("unknown", c:ask("\27[2J").code)
    fine(p, c)
  end)

  it("that sends anything at all harms nobody", function()
    local p = run()
    math.randomseed(7)
    local texts = { '{"v": 1, "id": 1, "op": "status", "args": {"a": [1, {}]}}', '{"v": 1, "id": 2, "op": "events", "args": {"follow": true}}',
      '{"v": 1, "id": 3, "op": "cancel", "args": {"id": 2}}', '{"v": 1, "op": "hello", "args": {"read_only": true}}' }
    for round = 1, 150 do
      local bytes = {}
      for i = 1, math.random(1, 4) do
        local text = texts[math.random(#texts)]
        for _ = 1, math.random(0, 3) do -- something in it is changed, taken out or doubled
          local at, n = math.random(#text), math.random(0, 3)
          text = text:sub(1, at) .. (n == 1 and string.char(math.random(0, 255)) or n == 2 and text or "") .. text:sub(at + n)
        end
        bytes[i] = round % 5 == 0 and text or control.frame(text)
      end
      local c = control.connect(p)
      c:raw(table.concat(bytes), 1)
      c:close()
    end
    fine(p)
    for _, e in ipairs(p:events()) do assert.is_true(e.event ~= "engine_restarted") end
  end)

  it("whose chunk never ends, or prints for ever, disturbs nobody, and ends with it", function()
    local p = run()
    local outcomes = function(n)
      return h.wait_for(function()
        local list = {}
        for _, e in ipairs(p:events "audit") do
          if e.details.op == "eval" and e.details.outcome then list[#list + 1] = e.details.outcome end
        end
        return #list >= n and list
      end, 10, n .. " chunks that have ended")
    end
    local spins, babbles = control.connect(p), control.connect(p)
    spins:send("eval", { code = "while true do pcall(function() while true do end end) end" })
    local id = babbles:send("eval", { code = "while true do print(('x'):rep(1000)) end" })
    local other = control.connect(p)
    for _ = 1, 3 do fine(p, other) end
    spins:close()
    assert.same({ "cancelled" }, outcomes(1))
    babbles:send("cancel", { id = id })
    assert.equal("cancelled", babbles:answer(id).code)
    assert.same({ "cancelled", "cancelled" }, outcomes(2))
    fine(p, other)
  end)

  it("that asks without end is slowed, others are not", function()
    local p = run()
    local busy = {}
    for i = 1, 8 do busy[i] = control.connect(p) end
    local frame = control.frame(cjson.encode { v = 1, op = "report" })
    for _, c in ipairs(busy) do c:raw(frame:rep(400), 0.05) end -- and nobody reads
    local other = control.connect(p)
    for _ = 1, 5 do fine(p, other) end
    local _, kib = control.engine(p)
    assert.is_true(kib < 80 * 1024, kib .. " KiB")
    -- what was sent is answered, but at 200 a second
    local c = control.connect(p)
    local began = native.now()
    for _ = 1, 250 do c:send "health" end
    for i = 1, 250 do assert.is_true(c:answer(i).ok) end
    assert.is_true(native.now() - began > 0.2)
  end)

  it("that is one of a thousand keeps nobody out", function()
    local p = run()
    local path = control.path(p)
    local _, before = control.engine(p)
    -- a process of its own, since they are more than a process may open everywhere
    local crowd = h.start { argv = { "/usr/bin/prlimit", "--nofile=4096", "lua5.4", "-e", ([[
      package.cpath = %q
      local native = require "native"
      local fds, served = {}, 0
      for i = 1, 1000 do fds[i] = native.connect_unix(%q) end
      print("connected " .. #fds)
      io.stdout:flush()
      while true do native.poll({}, 1000) end
    ]]):format(package.cpath, path) }, env = {} }
    crowd:wait_line("^connected 1000$", 20)
    h.wait_for(function() -- they ask nothing: a second later there is room
      local c = control.connect(path)
      c:send "status"
      local frame = c:receive()
      c:close()
      if not frame.ok then assert.equal("busy", frame.code) end
      return frame.ok
    end, 10, "an answer")
    fine(p)
    assert.equal(0, (h.ask(p, "status")))
    local _, after = control.engine(p)
    assert.is_true(after - before < 16 * 1024, ("%d KiB more"):format(after - before))
    crowd:kill "KILL"
  end)

  it("of another user is refused", function()
    if not h.root then return pending("needs root, to become another user") end
    local p = run()
    local path = control.path(p)
    local there = h.tempdir() -- where that user can read
    h.sh(("chmod 755 %s; cp %s %s/native.so; chmod 755 %s/native.so"):format(there, package.searchpath("native", package.cpath), there, there))
    local function stranger()
      local c = h.start { argv = { "/usr/bin/lua5.4", "-e", ([[
        package.cpath = %q
        local native = require "native"
        local fd, why = native.connect_unix(%q)
        if not fd then print("no: " .. why) os.exit(1) end
        native.poll({ fd }, 5000)
        print(native.read(fd):sub(5))
      ]]):format(there .. "/?.so", path) }, env = {}, uid = 65534, gid = 65534, cwd = "/" }
      c:wait()
      return c.out .. c.err
    end
    assert.truthy(stranger():find "^no: ") -- the folder
    h.sh(("d=%s; chmod 755 $d $(dirname $d) $(dirname $(dirname $d)) $(dirname $(dirname $(dirname $d))); chmod 666 $d/control.sock"):format(path:match "(.*)/"))
    local said = cjson.decode(stranger())
    assert.equal("denied", said.code)
    assert.equal("only the same user and root may ask", said.error)
    local audit = p:wait_event "audit"
    assert.truthy(audit.message:find("uid 65534 was refused", 1, true))
    assert.equal("RUNNING", control.connect(p):ask("status").value.state)
    local code, _, err = h.run { args = { "status", "--state-dir", p.env.CONTAINER_STATE_DIR }, uid = 65534, bare = true }
    assert.equal(1, code)
    assert.equal("tend status: only the same user and root may ask\n", err)
  end)
end)
