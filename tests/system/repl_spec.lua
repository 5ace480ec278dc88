-- tend repl: chunks given on the command line, in files, typed in a real terminal; docs/repl.md.
local h = require "harness"
local cjson = require "cjson"
local pages = require "pages"

local PAGE = pages.blocks "docs/repl.md"
local FLOW = PAGE[1].text

local engine -- one for all: sessions do not meet
local dir = h.tempdir()

setup(function()
  h.write(dir .. "/shop.lua", FLOW)
  h.write(dir .. "/counter.lua", "return { n = 7 }")
  engine = h.spawn { args = { "run", "--flow-name", "shop", "--flows", dir, "--scripts", dir },
    env = { CONTAINER_DATABASE_SHOP_CONNECTION_STRING = "postgresql://keeper:t0p-secret-word@db/shop" } }
  engine:wait_event("startup_completed")
end)

local function repl(...)
  return h.run { args = { "repl", ... }, dir = engine.dir,
    env = { CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR, TEND_HISTORY = engine.dir .. "/history" } }
end

-- What one chunk gives: its output, checked for success.
local function eval(chunk, ...)
  local code, out, err = repl("-e", chunk, ...)
  assert.equal(0, code, chunk .. ": " .. out .. err)
  return (out:gsub("\n$", ""))
end

local function pid_of(name)
  return tonumber(eval(("processes.%s.pid"):format(name)))
end

describe("tend repl -e", function()
  it("prints what an expression gives, as Lua", function()
    assert.equal("2", eval "1 + 1")
    assert.equal('{ 1, 2.5, "a\\n", b = { c = 1 }, [true] = false }', eval '{ 1, 2.5, "a\\n", b = { c = 1 }, [true] = false }')
    assert.equal("1\nnil\n3", eval "1, nil, 3")
    assert.equal("", eval "local x = 1")
    assert.equal("{ a = { b = <cycle: _> }, c = { <cycle: _.c> } }", eval "local t = { a = {}, c = {} } t.a.b = t t.c[1] = t.c return t")
    assert.equal("said\t1", eval 'print("said", 1)')
    assert.matches("^<function probe.tcp%(params%)>$", eval "probe.tcp")
    assert.matches('^"\\x1b%[2J"$', eval '"\\27[2J"')
    assert.equal('{ 7, "\\xff" }', eval 'return { require("counter").n, "\\xff" }')
  end)

  it("cuts what is long and says how to see the rest", function()
    local out = eval "local t = {} for i = 1, 1000 do t[i] = i end return t"
    assert.matches("%-%- 950 more", out)
    assert.matches("show%(_%) prints the whole", out)
    assert.matches('x"… %-%- 5000 bytes\n%-%- cut', eval '("x"):rep(5000)')
    local code, all = repl("-e", "local t = {} for i = 1, 1000 do t[i] = i end return t", "-e", "show(_)")
    assert.equal(0, code)
    assert.matches("\n  1000,\n}", all)
  end)

  it("waits for what waits", function()
    assert.matches('reason = "refused"', eval 'probe.tcp { host = "127.0.0.1", port = 1 }')
    assert.matches('code = 3', eval 'process.run { "sh", "-c", "exit 3" }')
    assert.equal("true", eval "local t = clock.monotonic() timer.sleep(0.05) return clock.monotonic() - t >= 0.05")
    assert.matches("ready to sell", eval "logs()")
  end)

  it("shows and steers what runs, by the same door as the commands", function()
    assert.equal('"up"', eval "processes.worker.state")
    assert.equal('"RUNNING"', eval "status().state")
    assert.equal("true", eval "health().healthy")
    assert.matches('result = "ok"', eval "checks.till:run()")
    local before = pid_of "worker"
    assert.equal('"done"', eval 'restart "worker"')
    assert.not_equal(before, pid_of "worker")
    local code, _, err = repl("-e", 'assert(restart "wroker")')
    assert.equal(1, code)
    assert.matches('did you mean "worker"', err)
    code, _, err = repl("-e", "processes.wroker")
    assert.equal(1, code)
    assert.matches("there are: main, worker", err)
    h.wait_for(function()
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "restart" and e.details.outcome == "done" then return true end
      end
    end, 5, "the audit of the restart")
  end)

  it("ends with 1 where a chunk fails, 64 where it is used wrongly, 69 without an engine", function()
    for chunk, expected in pairs {
      ["for"] = "expected near <eof>", ["x y"] = "syntax error", ['error "no"'] = "%-e:1: no", ["foo()"] = 'variable "foo" is not defined',
      ["local function f() error('deep') end f()"] = "%-e:1: in upvalue 'f'\n?", ['fs.read "/nonexistent"'] = "",
      ["error { message = 'told' }"] = "told",
    } do
      local code, out, err = repl("-e", chunk)
      assert.equal(1, code, chunk)
      if expected ~= "" and not chunk:find("deep") then assert.matches(expected, err) end
      if chunk:find "nonexistent" then assert.matches("<error enoent: ", out) end
    end
    assert.equal(64, (repl("--raed-only")))
    assert.equal(64, (repl("-e")))
    assert.equal(64, (repl("a", "b")))
    assert.equal(64, (repl("/nonexistent/file")))
    assert.equal(69, (h.run { args = { "repl", "-e", "1" } }))
    local code, out = repl("-e", "error 'first'", "-e", "print 'second'")
    assert.same({ 1, "" }, { code, out })
  end)

  it("speaks JSON", function()
    local code, out, err = repl("--json", "-e", "health()", "-e", "1, 2, { print }", "-e", "print 'x'", "-e", "local t = {} t.t = t return t")
    assert.equal(0, code, err)
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = cjson.decode(line) end
    assert.equal("RUNNING", lines[1].state)
    assert.same({ 1, 2 }, { lines[2][1], lines[2][2] })
    assert.same({ t = "<cycle>" }, lines[3])
    assert.equal("x\n", err)
    code, out = repl("--json", "-e", "error 'x'")
    assert.equal(1, code)
    assert.matches("-e:1: x", cjson.decode(out).error, 1, true)
  end)

  it("shows no secret", function()
    for _, chunk in ipairs { 'settings.get "DATABASE_SHOP_CONNECTION_STRING"', 'print(settings.get "DATABASE_SHOP_CONNECTION_STRING")',
      'error(settings.get "DATABASE_SHOP_CONNECTION_STRING")', '{ x = "t0p-secret-word" }' } do
      local _, out, err = repl("-e", chunk)
      assert.is_nil((out .. err):find("t0p-secret-word", 1, true), chunk)
      assert.matches("***", out .. err, 1, true)
    end
    assert.is_nil((engine.out .. engine.err):find("t0p-secret-word", 1, true))
  end)

  it("has every chunk audited, with who and when", function()
    eval "'marked ' .. 4711"
    local asked, done
    h.wait_for(function()
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "eval" and e.details.args.code:find("4711", 1, true) then
          asked = asked or not e.details.outcome and e
          done = done or e.details.outcome and e
        end
      end
      return done
    end, 5, "the audit of the chunk")
    assert.equal(tonumber((h.sh "id -u")), asked.details.uid)
    assert.is_true(asked.details.pid > 0)
    assert.matches("^%d+%-%d+%-%d+T", asked.timestamp)
    assert.equal("done", done.details.outcome)
  end)
end)

describe("a read-only prompt", function()
  it("refuses every effect and shows the rest", function()
    local worker = pid_of "worker"
    local file = dir .. "/written"
    for _, chunk in ipairs { ('process.run { "touch", %q }'):format(file), ("fs.write_atomic(%q, 'x')"):format(file),
      ("fs.remove(%q)"):format(dir .. "/shop.lua"), 'restart "worker"', "processes.worker:restart()", "shutdown()", "maintenance(true)",
      'http.post("http://127.0.0.1:1/", "x")', ('probe.command { command = { "touch", %q } }'):format(file),
      "timer.after(0, function() end)", 'op("stop")', "pcall(dry, function() end) restart 'worker'", } do
      local code, out, err = repl("--read-only", "-e", chunk)
      assert.equal(1, code, chunk .. out .. err)
      assert.matches("read-only", out .. err, 1, true)
    end
    assert.falsy(h.exists(file))
    assert.equal(worker, pid_of "worker")
    local code, out = repl("--read-only", "-e", "processes.worker.state", "-e", 'probe.tcp { host = "127.0.0.1", port = 1 }.reason',
      "-e", ("#fs.read(%q) > 0"):format(dir .. "/shop.lua"), "-e", "health().status", "-e", "checks.till.status")
    assert.equal(0, code, out)
    assert.equal('"up"\n"refused"\ntrue\n"healthy"\n"healthy"\n', out)
  end)

  it("does not touch the policies' tables", function()
    repl("--read-only", "-e", 'require("counter").n = 99')
    assert.equal("7", eval 'require("counter").n')
  end)
end)

describe("a dry prompt", function()
  it("lists the effects and has none", function()
    local worker = pid_of "worker"
    local file = dir .. "/dry"
    local code, out = repl("--dry", "-e", ([[
      local r = process.run { "touch", %q }
      fs.append(%q, "x")
      if r.ok then restart "worker" end
      http.request { url = "http://127.0.0.1:1/", method = "DELETE" }
      probe.http { url = "http://127.0.0.1:1/" }
    ]]):format(file, file))
    assert.equal(0, code)
    assert.matches("would do: process.run touch " .. file, out, 1, true)
    assert.matches("would do: fs.append " .. file, out, 1, true)
    assert.matches("would do: restart", out, 1, true)
    assert.matches("would do: http.request DELETE", out, 1, true)
    assert.equal(4, select(2, out:gsub("would do", "")))
    assert.falsy(h.exists(file))
    assert.equal(worker, pid_of "worker")
  end)

  it("is there for one function too", function()
    assert.equal('{ "process.run rm x", "stop {\\"process\\": \\"worker\\"}" }', eval 'dry(function() process.run { "rm", "x" } stop "worker" end)')
    assert.equal('{ "process.run rm x", "then it would fail: dry:1: oh" }', eval [[dry 'process.run { "rm", "x" } error "oh"']])
    assert.equal('"up"', eval "processes.worker.state")
  end)
end)

describe("what is changed by hand", function()
  it("is taken over at once or refused whole, told by delta, and taken back", function()
    local worker = pid_of "worker"
    local code, out, err = repl("-e", "kept = { 1 }", "-e", 'set("CONTAINER_RESTART_DELAY_SECONDS", "4s")', "-e", "processes.worker:change { restart = { delay = 2 } }",
      "-e", "kept[1], settings.get 'RESTART_DELAY_SECONDS'", "-e", 'stop "worker"', "-e", "delta()")
    assert.equal(0, code, err)
    assert.equal(worker and [["done"
"done"
1
4.0
"done"
settings = {
  RESTART_DELAY_SECONDS = "4s", -- was 10
},
processes = {
  worker = {
    restart = { delay = 2 }, -- not in the file
  },
},
-- worker is stopped: start "worker" has it run again
]], out)
    for chunk, expected in pairs {
      ['set("RESTART_DELAY_SECONDS", "soon")'] = "expected a duration", ['set("NO_SUCH", 1)'] = "there is no setting",
      ['set("STATE_DIR", "/tmp")'] = "taken at the start only", ['set("DATABASE_SHOP_CONNECTION_STRING", "x")'] = "secret",
      ["checks.till:change { intervall = 1 }"] = 'did you mean \\"interval\\"', ["checks.till:change { interval = -1 }"] = "interval",
      ["checks.till:change(1)"] = "expected fields", ['checks.till:change { name = "x" }'] = "a name cannot be changed",
    } do
      local c, o, e = repl("-e", chunk)
      assert.equal(1, c, chunk)
      assert.matches(expected, o .. e, 1, true)
    end
    code, out = repl("-e", "undo()", "-e", 'start "worker"', "-e", "settings.get 'RESTART_DELAY_SECONDS'", "-e", "delta()")
    assert.same({ 0, '"done"\n"done"\n10.0\nnothing was changed by hand\n' }, { code, out })
    assert.equal(1, (repl("--read-only", "-e", 'set("RESTART_DELAY_SECONDS", 1)')))
    assert.equal("10.0", eval "settings.get 'RESTART_DELAY_SECONDS'")
  end)

  it("leaves a session its data, and says what is gone", function()
    finally(function() repl("-e", "undo()") end)
    local code, out, err = repl("-e", "small, big, f = { a = { 'x' } }, {}, function() end for i = 1, 1e5 do big[i] = i end",
      "-e", "for i = 1, 50 do _G['small' .. i] = i end", -- whether one goes hangs on itself, not on where a table's order has it
      "-e", 'set("RESTART_DELAY_SECONDS", 5)', "-e", "small.a[1], rawget(_G, 'big'), rawget(_G, 'f')",
      "-e", "for i = 1, 50 do assert(_G['small' .. i] == i) end", "-e", "undo()")
    assert.same({ 0, '"x"\nnil\nnil' }, { code, out:match '"x".*nil' }, err)
    assert.matches("the policies were loaded anew", err)
  end)

  it("is no difference any more when the file says it", function()
    eval "checks.till:change { interval = 30 }"
    assert.matches("interval = 30", eval "delta()")
    h.write(dir .. "/shop.lua", (FLOW:gsub("interval = 60", "interval = 30")))
    finally(function()
      h.write(dir .. "/shop.lua", FLOW)
      repl("-e", "reload()") -- now, and not in the middle of what comes next
    end)
    assert.is_string(eval "op 'reload'")
    assert.equal("nothing was changed by hand", eval "delta()")
  end)
end)

describe("a file, and standard input", function()
  it("is one chunk, its results printed", function()
    local file = h.write(dir .. "/chunk.lua", "#!/usr/bin/env tend-repl\nlocal n = 0\nfor i = 1, 10 do\n  n = n + i\nend\nreturn n\n")
    assert.equal(0, (repl(file)))
    assert.equal("55\n", select(2, repl(file)))
    h.write(file, "\n\nerror 'here'\n")
    local code, _, err = repl(file)
    assert.equal(1, code)
    assert.matches("chunk.lua:3: here", err, 1, true)
    h.write(file, "local x = ")
    code, _, err = repl(file)
    assert.equal(1, code)
    assert.matches("chunk.lua:1:", err, 1, true)
  end)

  it("is read line by line from a pipe, and stops at what fails", function()
    local function piped(text)
      return h.run { args = { "repl" }, dir = engine.dir, stdin = text, env = { CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR } }
    end
    local code, out = piped "x = 2\nfor i = 1, 2 do\n  print(i * x)\nend\nx\n"
    assert.same({ 0, "2\n4\n2\n" }, { code, out })
    code, out = piped "1\nerror 'no'\n2\n"
    assert.same({ 1, "1\n" }, { code, out })
    assert.equal(1, (piped "for i = 1, 2 do"))
  end)
end)

-- A session in a terminal: what is typed, what is seen without the terminal's control sequences.
local function terminal(option, of)
  of = of or engine
  local p = h.spawn { args = { "repl", option }, tty = true, dir = of.dir, env = {
    CONTAINER_STATE_DIR = of.env.CONTAINER_STATE_DIR, TERM = "xterm", TEND_HISTORY = of.dir .. "/history", HOME = dir } }
  local at = 1
  local function plain()
    return (p.out:sub(at):gsub("\27%[[%d;?]*%a", ""):gsub("\27[()]%w", ""):gsub("[\r\7\b]", ""))
  end
  return {
    process = p,
    see = function(text, what)
      h.wait_for(function() return plain():find(text, 1, true) end, 10, what or text)
      return plain()
    end,
    type = function(text)
      at = #p.out + 1
      p:send(text)
    end,
    seen = plain,
  }
end

describe("tend repl in a terminal", function()
  it("greets, evaluates, goes on over lines, completes, ends by Ctrl-D", function()
    local t = terminal()
    t.see "flow shop"
    t.see "shop> "
    t.type "x = { a = 1 }\r"
    t.see "shop> "
    t.type "x\r"
    t.see "{ a = 1 }"
    t.type "for i = 1, 2 do\r"
    t.see "shop>> "
    t.type "print(i * 21)\rend\r"
    t.see "42"
    t.type "probe.tc\t"
    t.see "probe.tcp"
    t.type "\t"
    t.see "TCP connects."
    t.type "\3"
    t.see "shop> "
    t.type 'processes.mai\t.sta\t\t'
    t.see "start"
    t.see "state"
    t.type "\3"
    t.type 'restart "wor\t'
    t.see 'restart "worker'
    t.type '\3'
    t.type "probe.http { ur\t"
    t.see "url = "
    t.type "\3"
    t.type 'settings.get "SHUTDOWN_T\t'
    t.see "SHUTDOWN_TIMEOUT_SECONDS"
    t.type "\3"
    t.type 'watch "hea\t'
    t.see "health"
    t.type '"\r'
    t.see 'status = "healthy"'
    t.type "\3"
    t.see "cancelled"
    t.see "shop> "
    t.type "x.a\r"
    t.see "1"
    t.type "\4"
    assert.equal(0, (t.process:wait()))
  end)

  it("is as docs/repl.md shows it", function()
    local t, steps = terminal(), {}
    t.see "shop> "
    for _, block in ipairs(PAGE) do
      for line in block.kind == "repl" and block.text:gmatch "[^\n]+" or function() end do
        local typed = line:match "^shop>+ (.*)$" or line:match "^%^C$"
        if typed then steps[#steps + 1] = { typed = typed, shape = {} } else table.insert(steps[#steps].shape, line) end
      end
    end
    assert.is_true(#steps > 15)
    for i, step in ipairs(steps) do
      t.type(step.typed == "^C" and "\3" or step.typed .. "\r")
      local last = steps[i + 1] and steps[i + 1].typed == "^C" and "" or "shop>"
      h.wait_for(function()
        local seen = t.seen():gsub("^[^\n]*\n", "", step.typed ~= "^C" and 1 or 0)
        return pages.same_shape(step.shape, seen) and seen:find(last, 1, true)
      end, 10, "what follows " .. step.typed)
    end
    t.type "\4"
    assert.equal(0, (t.process:wait()))
  end)

  it("ends a chunk by Ctrl-C, not the session", function()
    local t = terminal()
    t.see "shop> "
    for _, chunk in ipairs { "timer.sleep(1000)", "while true do end", "while true do pcall(error) end",
      "while true do print(('x'):rep(200)) end", "pcall(string.gsub, ('x'):rep(1e6), '.', function() timer.sleep(1) end) timer.sleep(1000)" } do
      t.type(chunk .. "\r")
      h.wait_for(function()
        local list = engine:events "audit"
        return list[#list].details.args.code == chunk and (not chunk:find "print" or #t.process.out > 1e5)
      end, 10, chunk)
      local from = #t.process.out + 1 -- what the chunk before has left is no answer
      t.process:send "\3"
      h.wait_for(function() return t.process.out:sub(math.max(from, #t.process.out - 400)):find("cancelled.*shop> ") end, 10, "the end of " .. chunk)
    end
    t.type "'still ' .. 'here'\r"
    t.see "still here"
    t.type "exit\r"
    assert.equal(0, (t.process:wait()))
  end)

  it("keeps a history of its owner's alone, without lines that begin with a blank or hold a secret", function()
    os.remove(engine.dir .. "/history")
    local t = terminal()
    t.see "shop> "
    t.type "'kept ' .. 1\r"
    t.see "kept 1"
    t.type " 'hidden ' .. 2\r"
    t.see "hidden 2"
    t.type "c = 'postgresql://joe:sesame-street@db/x'\r"
    t.see "shop> "
    t.type "\4"
    t.process:wait()
    assert.equal("'kept ' .. 1\n", h.read(engine.dir .. "/history"))
    assert.equal("600\n", (h.sh("stat -c %a " .. h.quote(engine.dir .. "/history"))))
    t = terminal()
    t.see "shop> "
    t.type "\16\r" -- Ctrl-P: the line before
    t.see '"kept 1"'
    t.type "\4"
    t.process:wait()
    local lines = {}
    for i = 1, 2500 do lines[i] = "x = " .. i end
    h.write(engine.dir .. "/history", table.concat(lines, "\n") .. "\n")
    t = terminal()
    t.see "shop> "
    t.type "\4"
    t.process:wait()
    local text = h.read(engine.dir .. "/history")
    assert.equal(1000, select(2, text:gsub("\n", "")))
    assert.matches("x = 2500\n$", text)
  end)

  it("comes back when the engine does", function()
    local p = h.spawn { args = { "run", "--flow-name", "shop", "--flows", dir, "--scripts", dir } }
    p:wait_event "startup_completed"
    local t = terminal(nil, p)
    t.see "shop> "
    t.type "mine = 1\r"
    t.see "shop> "
    local _, before = h.ask(p, "repl", "-e", "processes.worker.pid") -- it stays the same
    assert.equal(0, (h.ask(p, "repl", "-e", 'set("RESTART_DELAY_SECONDS", 3)')))
    t.type "('a'):rep(400):find('a*a*a*b')\r" -- nothing but a new engine ends this
    t.see "the engine has ended the connection"
    t.see "connected again"
    t.see "shop> "
    t.type "mine\r"
    t.see 'variable "mine" is not defined'
    t.type "status().state\r"
    t.see '"RUNNING"'
    t.type "\4"
    assert.equal(0, (t.process:wait()))
    assert.equal(before, (select(2, h.ask(p, "repl", "-e", "processes.worker.pid"))))
    assert.matches("RESTART_DELAY_SECONDS = 3", (select(2, h.ask(p, "repl", "-e", "delta()"))))
    assert.equal("3.0\n", (select(2, h.ask(p, "repl", "-e", 'settings.get "RESTART_DELAY_SECONDS"'))))
  end)

  it("says that it is read-only, and helps", function()
    local t = terminal("--read-only")
    t.see "shop (read-only)> "
    t.type "stop()\r"
    t.see "read-only"
    t.type "help(probe.http)\r"
    t.see "probe.http(params)"
    t.see "url"
    t.type 'help "restart"\r'
    t.see "as `tend restart`"
    t.type "help()\r"
    t.see "show(x)"
    t.type "\4"
    assert.equal(0, (t.process:wait()))
  end)
end)

describe("a chunk", function()
  it("ends with its client", function()
    local p = h.spawn { args = { "repl", "-e", "while true do timer.sleep(0.01) end" }, dir = engine.dir,
      env = { CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR } }
    local function outcome()
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "eval" and e.details.args.code == "while true do timer.sleep(0.01) end" then
          if e.details.outcome then return e.details.outcome end
          p.begun = true
        end
      end
    end
    h.wait_for(function() outcome() return p.begun end, 5, "the chunk")
    p:kill "KILL"
    assert.equal("cancelled", h.wait_for(outcome, 5, "the end of the chunk"))
  end)

  it("that never ends delays nothing", function()
    local busy = {}
    for i, chunk in ipairs { "while true do end", "while true do pcall(string.rep, 'x', 1000) end",
      "local t = {} for i = 1, 2e4 do t[i] = i * 79 % 211 end while true do table.sort(t, function(a, b) return a < b end) table.sort(t, function(a, b) return a > b end) end" } do
      busy[i] = h.spawn { args = { "repl", "-e", chunk }, dir = engine.dir, env = { CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR } }
    end
    h.wait_for(function()
      local n = 0
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "eval" and not e.details.outcome and e.details.args.code:find("while true do", 1, true) then n = n + 1 end
      end
      return n >= 3
    end, 5, "the chunks")
    local worker, worst = pid_of "worker", 0
    for _ = 1, 5 do
      local from = require("native").now()
      assert.equal('"ok"', eval "checks.till:run().result")
      worst = math.max(worst, require("native").now() - from)
    end
    assert.is_true(worst < 5 * h.slow, worst)
    assert.equal('"done"', eval 'restart "worker"')
    assert.not_equal(worker, pid_of "worker")
    for _, p in ipairs(busy) do
      assert.is_false(p:ended())
      p:kill "INT"
      assert.equal(130, (p:wait()))
      assert.matches("cancelled", p.err)
    end
  end)

  it("is refused where it is too long, and prompts where there are too many", function()
    local file = h.write(dir .. "/long.lua", ("-"):rep(300 * 1024))
    assert.equal(64, (repl(file)))
    assert.equal(64, (repl(h.write(dir .. "/nul.lua", "return 1\0"))))
    assert.equal(64, (repl(dir)))
    local code, _, err = repl("-e", "return '" .. ("x"):rep(100 * 1024) .. "'")
    assert.equal(0, code, err)
    local open = {}
    for i = 1, 17 do
      open[i] = h.spawn { args = { "repl" }, dir = engine.dir, stdin = true, env = { CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR } }
    end
    h.wait_for(function()
      for _, p in ipairs(open) do
        if p:ended() then return true end
      end
    end, 5, "one too many")
    local refused = 0
    for _, p in ipairs(open) do
      p:close_stdin()
      if p:wait() == 1 then
        refused = refused + 1
        assert.matches("16 prompts are open already", p.err)
      end
    end
    assert.equal(1, refused)
    assert.equal("2", eval "1 + 1")
  end)

  it("is bounded in memory, and a slow reader makes it wait", function()
    local code, _, err = repl("-e", "local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end")
    assert.equal(1, code)
    assert.matches("not enough memory", err)
    assert.equal("2", eval "1 + 1")
    local p = h.spawn { args = { "repl", "-e", "for i = 1, 20000 do print(i, ('y'):rep(100)) end return 'end'" }, dir = engine.dir, held = true,
      env = { CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR } }
    assert.equal('"RUNNING"', eval "status().state")
    p:release()
    assert.equal(0, (p:wait()))
    assert.equal(20001, select(2, p.out:gsub("\n", "")))
    assert.matches("20000\t" .. ("y"):rep(100) .. '\n"end"\n$', p.out)
  end)
end)

describe("policies that take all there is", function()
  it("leave the prompt enough to look at them", function()
    local flows = h.tempdir()
    h.write(flows .. "/greedy.lua", [[
      local held = {}
      for i = 1, 50 do held[i] = ("x"):rep(1024 * 1024 - 100) .. i end
      for _ = 1, 20 do timer.every(0.01, function() while true do end end) end
    ]] .. "return { name = 'greedy', mode = 'server', processes = { main = { command = { 'sleep', '1000' } } } }")
    local p = h.spawn { args = { "run", "--flow-name", "greedy", "--flows", flows } }
    p:wait_event("startup_completed")
    local code, out, err = h.ask(p, "repl", "-e", "1 + 1", "-e", "processes.main.state")
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal('2\n"up"\n', out)
  end)
end)

describe("tend repl --offline", function()
  local function offline(...)
    return h.run { args = { "repl", "--offline", ... } }
  end

  it("has all primitives and no processes", function()
    local code, out, err = offline("-e", 'process.run { "echo", "hi" }.output', "-e", 'probe.tcp { host = "127.0.0.1", port = 1 }.reason')
    assert.same({ 0, '"hi\\n"\n"refused"\n', "" }, { code, out, err })
    code, out, err = offline("-e", "status()")
    assert.equal(1, code)
    assert.matches("offline", out .. err, 1, true)
    assert.equal(1, (offline("--read-only", "-e", 'process.run { "true" }')))
  end)

  it("knows a flow's settings", function()
    local code, out, err = offline("--flow-name", "shop", "--flows", dir, "-e", 'settings.get "EXECUTION_MODE"')
    assert.same({ 0, '"server"\n' }, { code, out }, err)
  end)

  it("leaves nothing behind, whatever ends the client", function()
    local p = h.spawn { args = { "repl", "--offline" }, stdin = true }
    p:send "process.run { 'sleep', '1000' }\n"
    local pids
    h.wait_for(function()
      pids = p:children()
      return #pids >= 3
    end, 5, "the sleep")
    p:kill "KILL"
    p:wait()
    h.wait_for(function()
      for _, pid in ipairs(pids) do
        if h.exists("/proc/" .. pid) and (h.stat(pid) or {}).state ~= "Z" then return false end
      end
      return true
    end, 5, "the end of the offline engine")
  end)
end)
