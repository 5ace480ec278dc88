-- tend repl in a real terminal: keys, lines, completion, history; docs/repl.md typed.
local h = require "harness"
local native = require "native"
local pages = require "pages"
local prompting = require "prompting"
local terminal, dir = prompting.terminal, prompting.dir
local engine
setup(function() engine = prompting.start() end)

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

  it("gives the terminal back as it was when a signal ends it, at the prompt and while a chunk runs", function()
    local shell = ([[before=$(stty -g); sh -c 'echo "pid $$"; exec %s repl'; echo "ended $?"
      if [ "$(stty -g)" = "$before" ]; then echo as before; else stty -a; fi; echo over]]):format(h.tend)
    local env = { TERM = "xterm", HOME = dir, CONTAINER_STATE_DIR = engine.env.CONTAINER_STATE_DIR, TEND_HISTORY = dir .. "/history" }
    for _, case in ipairs { { 15 }, { 1 }, { 3 }, { 15, "print 'begun' timer.sleep(100)\r", "\nbegun" } } do
      local p = h.start { argv = { "/bin/sh", "-c", shell }, tty = true, env = env }
      h.wait_for(function() return p.out:find("shop> ", 1, true) end, 10, "the prompt")
      if case[2] then p:send(case[2]) end
      h.wait_for(function() return p.out:find(case[3] or "shop> ") end, 10, "the chunk")
      native.kill(tonumber(p.out:match "pid (%d+)"), case[1])
      h.wait_for(function() return p.out:find("over", 1, true) end, 10, "the shell's last word")
      assert.matches("ended " .. 128 + case[1] .. "\r?\nas before", p.out)
      p:wait()
    end
  end)

  it("is as docs/repl.md shows it", function()
    local t, steps = terminal(), {}
    t.see "shop> "
    for _, block in ipairs(prompting.page) do
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
