-- Commands that a flow adds to the running engine (control.command): from a shell, over the socket, in help and completion.
local h = require "harness"
local control = require "control"
local native = require "native"
local cjson = require "cjson"

local FLOW = [[
control.command { name = "greet", help = "says hello", args = {
    { name = "who", required = true, help = "whom" }, { name = "how", choices = { "softly", "loudly" } },
    { name = "times", type = "integer", option = true, default = 1, min = 1, max = 5, help = "how often" },
    { name = "shout", type = "boolean" }, { name = "ratio", type = "number", option = true },
    { name = "for_long", type = "duration", option = true } },
  run = function(a, client)
    for i = 1, a.times do print("hello " .. (a.shout and a.who:upper() or a.who)) end
    return { how = a.how, ratio = a.ratio, seconds = a.for_long, uid = client.uid }
  end }
control.command { name = "leave", help = "ends with a code", args = { { name = "code", type = "integer", required = true } },
  run = function(a) print "leaving" return a.code end }
control.command { name = "tick", help = "goes on", run = function() for i = 1, 1000 do print("tick " .. i) timer.sleep(0.05) end end }
control.command { name = "spin", help = "computes for ever", run = function() while true do end end }
control.command { name = "late", help = "takes too long", timeout = 0.2, run = function() timer.sleep(10) end }
control.command { name = "broken", help = "raises", run = function()
  local t
  return t.x
end }
control.command { name = "no", help = "refuses", run = function() return nil, "not today" end }
control.command { name = "text", help = "a text", level = "read-only", run = function() return "some text" end }
control.command { name = "poke", help = "does too much", level = "read-only", run = function() return process.run { "touch", "/nowhere/x" } end }
control.command { name = "big", help = "one long text", run = function() print(("y"):rep(1000000)) end }
control.command { name = "told", help = "prints where nothing can wait", run = function()
  tostring(setmetatable({}, { __tostring = function()
    for _ = 1, 5000 do print(("z"):rep(1000)) end
    return ""
  end }))
end }
return { mode = "server", processes = { main = { command = { "sleep", "1000" } } } }
]]

local function flow(text)
  local dir = h.tempdir()
  h.write(dir .. "/cmd.lua", text)
  return dir
end

local p
setup(function()
  p = h.for_file(function()
    local made = h.spawn { args = { "run", "--flow-name", "cmd", "--flows", flow(FLOW) } }
    made:wait_event "startup_completed"
    return made
  end)
end)

describe("a flow's command", function()
  it("takes words and options as its table says, prints, and returns", function()
    local code, out = h.ask(p, "greet", "bob", "softly", "--times=2", "--shout", "--ratio", "0.5", "--for-long", "2m")
    assert.equal(0, code)
    local a, b, value = out:match "^([^\n]*)\n([^\n]*)\n(.*)$"
    assert.equal("hello BOB", a)
    assert.equal("hello BOB", b)
    assert.same({ how = "softly", ratio = 0.5, seconds = 120, uid = native.geteuid() }, cjson.decode(value))
    code, out = h.ask(p, "leave", "7")
    assert.equal(7, code)
    assert.equal("leaving\n", out)
    assert.equal("some text\n", (select(2, h.ask(p, "text"))))
    assert.equal('"some text"\n', (select(2, h.ask(p, "text", "--json"))))
    local c = control.connect(p)
    local answer, parts = c:ask("greet", { who = "eve" })
    assert.same({ { text = "hello eve\n" } }, parts)
    assert.equal(0, answer.value.exit)
  end)

  it("is refused wrong arguments before it runs", function()
    for _, case in ipairs {
      { { "greet" }, "tend greet: an argument is missing: WHO\n" },
      { { "greet", "a", "b" }, "tend greet: expected softly or loudly, not b\n" },
      { { "greet", "a", "softly", "c" }, "tend greet: unexpected argument c\n" },
      { { "greet", "a", "--times", "6" }, "tend greet: --times expects a number from 1 to 5, not 6\n" },
      { { "greet", "a", "--tmies", "2" }, 'tend greet: unknown option --tmies; did you mean "--times"?\n' },
      { { "greet", "a", "--ratio", "x" }, "tend greet: --ratio expects a number, not x\n" },
      { { "greet", "a", "--for-long", "soon" }, "tend greet: expected a duration like 90, 30m or 2h, not soon\n" },
      { { "leave", "now" }, "expects a whole number, not now\n" },
    } do
      local code, out, err = h.ask(p, table.unpack(case[1]))
      assert.equal(64, code)
      assert.equal("", out)
      assert.truthy(err:find(case[2], 1, true), err)
    end
    assert.equal("arguments", control.connect(p):ask("greet", { who = 3 }).code)
  end)

  it("that fails is told with file and line, a refusal with its reason, one over its time as such", function()
    local code, _, err = h.ask(p, "broken")
    assert.equal(1, code)
    assert.truthy(err:find "^tend broken: %C*/cmd%.lua:17: attempt to index a nil value %(local 't'%)\n$", err)
    code, _, err = h.ask(p, "no")
    assert.equal(1, code)
    assert.equal("tend no: not today\n", err)
    local c = control.connect(p)
    assert.equal("script", c:ask("broken").code)
    assert.equal("refused", c:ask("no").code)
    assert.equal("timeout", c:ask("late").code)
    local answer = c:ask "spin"
    assert.is_false(answer.ok)
    assert.truthy(answer.error:find("cmd%.lua:13"), answer.error)
    answer = c:ask "poke"
    assert.equal("script", answer.code)
    assert.truthy(answer.error:find("read-only", 1, true))
  end)

  it("ends with its client, or by cancel", function()
    local c = control.connect(p)
    local id = c:send "tick"
    assert.equal("tick 1\n", c:receive().part.text)
    assert.is_true(c:ask("cancel", { id = id }).value.cancelled)
    assert.equal("cancelled", c:answer(id).code)
    local nth = #p:events "audit"
    c:send "tick"
    c:receive()
    c:close()
    h.wait_for(function()
      local list = p:events "audit"
      return list[nth + 2] and list[#list].details.outcome == "cancelled"
    end)
    local client = h.spawn { args = { "tick" }, dir = p.dir, env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR } }
    client:wait_line "^tick 2$"
    local before = #p:events "audit"
    client:kill "INT"
    client:wait()
    h.wait_for(function()
      local list = p:events "audit"
      return #list > before and list[#list].details.outcome == "cancelled"
    end)
  end)

  it("prints no more than a client reads: a long text is cut, what cannot wait raises", function()
    local c = control.connect(p)
    local answer, parts = c:ask "big"
    assert.is_true(answer.ok)
    assert.equal(262144, #parts[1].text)
    assert.equal("\n(737857 bytes more)\n", parts[2].text)
    answer, parts = c:ask "told"
    assert.is_false(answer.ok)
    assert.truthy(answer.error:find("not read as fast as it is printed", 1, true), answer.error)
    assert.is_true(#parts < 2000)
  end)

  it("stands in help, with its arguments, and is found where its name is spelt wrong", function()
    local _, out = h.ask(p, "help")
    local list = out:match "\nof the flow that runs here:\n(.-)\n\n"
    assert.truthy(list:find("  greet        says hello\n", 1, true))
    local code
    code, out = h.ask(p, "help", "greet")
    assert.equal(0, code)
    assert.truthy(out:find("tend greet WHO [softly|loudly] [--times N] [--shout] [--ratio N] [--for-long DURATION]", 1, true))
    assert.truthy(out:find("\n  --times N                    how often\n", 1, true))
    assert.equal(out, (select(2, h.ask(p, "greet", "--help"))))
    local err
    code, _, err = h.ask(p, "gret")
    assert.equal(64, code)
    assert.equal('tend: unknown command "gret"; did you mean "greet"; see tend help\n', err)
    assert.is_nil((select(2, h.run { args = { "help" } })):find("greet", 1, true))
  end)

  it("is audited, unless it only looks", function()
    local before = #p:events "audit"
    local c = control.connect(p)
    c:ask "text"
    c:ask("leave", { code = 3 })
    local list = h.wait_for(function() local l = p:events "audit" return #l >= before + 2 and l end)
    assert.equal(before + 2, #list)
    assert.equal("leave", list[#list].details.op)
    assert.equal("done", list[#list].details.outcome)
    assert.same({ code = 3 }, list[#list].details.args)
    c:ask("hello", { read_only = true })
    assert.equal("denied", c:ask("leave", { code = 3 }).code)
    assert.is_true(c:ask("text").ok)
  end)
end)

describe("a reload", function()
  local rest = '\nreturn { mode = "server", processes = { main = { command = { "sleep", "1000" } } } }'

  it("has the commands of the new file, changes them, and takes away those that are no longer there", function()
    local dir = flow('control.command { name = "old", help = "x", run = function() return "old" end }\n' ..
      'control.command { name = "same", help = "x", run = function() return "one" end }' .. rest)
    local q = h.spawn { args = { "run", "--flow-name", "cmd", "--flows", dir }, env = { CONTAINER_RELOAD = "manual" } }
    q:wait_event "startup_completed"
    local c = control.connect(q)
    assert.equal("one", c:ask("same").value.value)
    h.write(dir .. "/cmd.lua", 'control.command { name = "new", help = "is new", run = function() return "new" end }\n' ..
      'control.command { name = "same", help = "x", run = function() return "two" end }' .. rest)
    local code, _, err = h.ask(q, "reload")
    assert.equal(0, code, err)
    assert.equal("two", c:ask("same").value.value)
    assert.equal("new", c:ask("new").value.value)
    assert.equal("unknown", c:ask("old").code)
    assert.equal(64, (h.ask(q, "old")))
    local _, help = h.ask(q, "help")
    assert.truthy(help:find("\n  new          is new\n", 1, true))
    assert.is_nil(help:find("\n  old ", 1, true))
    -- one that is wrong changes nothing
    h.write(dir .. "/cmd.lua", 'control.command { name = "stop", help = "x", run = print }' .. rest)
    code, _, err = h.ask(q, "reload")
    assert.equal(1, code)
    assert.truthy(err:find("a name that tend does not have itself", 1, true), err)
    assert.equal("new", c:ask("new").value.value)
  end)

  it("ends what runs of the old ones, or lets it finish; it is answered in any case", function()
    local text = 'control.command { name = "wait", help = "x", run = function() print "here" timer.sleep(%s) return "slept" end }' .. rest
    local dir = flow(text:format "600")
    local q = h.spawn { args = { "run", "--flow-name", "cmd", "--flows", dir }, env = { CONTAINER_RELOAD = "manual" } }
    q:wait_event "startup_completed"
    local c = control.connect(q)
    local id = c:send "wait"
    assert.equal("here\n", c:receive().part.text)
    h.write(dir .. "/cmd.lua", (text:format "0"))
    assert.equal(0, (h.ask(q, "reload")))
    assert.equal("slept", c:ask("wait").value.value)
    c:ask("cancel", { id = id })
    assert.equal("cancelled", c:answer(id).code)
    assert.equal(0, (h.ask(q, "shutdown")))
  end)
end)

describe("a command that cannot be", function()
  it("is an error of the flow file, which names the key", function()
    for text, says in pairs {
      ['{ name = "status", help = "x", run = print }'] = 'control.command.name: expected a name that tend does not have itself, got "status"',
      ['{ name = "run", help = "x", run = print }'] = "a name that tend does not have itself",
      ['{ name = "repl", help = "x", run = print }'] = "a name that tend does not have itself",
      ['{ name = "Greet", help = "x", run = print }'] = "a name of small letters, digits and -",
      ['{ name = "a", run = print }'] = "control.command.help: expected one line of text, got nil",
      ['{ name = "a", help = "x" }'] = "control.command.run: expected a function, got nil",
      ['{ name = "a", help = "x", run = print, hlep = "y" }'] = 'control.command: unknown key "hlep"',
      ['{ name = "a", help = "x", run = print, timeout = -1 }'] = "control.command.timeout: expected seconds up to 3600, got -1",
      ['{ name = "a", help = "x", run = print, level = "root" }'] = 'control.command.level: expected "operator" or "read-only"',
      ['{ name = "a", help = "x", run = print, args = { { name = "b", type = "table" } } }'] = "control.command.args[1].type: expected string, integer",
      ['{ name = "a", help = "x", run = print, args = { { name = "b" }, { name = "b" } } }'] = "control.command.args[2].name: expected another name",
      ['{ name = "a", help = "x", run = print, args = { { name = "b" }, { name = "c", required = true } } }'] = "what is required before what is not",
      ['{ name = "a", help = "x", run = print, args = { { name = "json" } } }'] = "that no option of every command has",
    } do
      local dir = flow("\ncontrol.command " .. text .. "\nreturn { processes = { main = { command = { 'true' } } } }")
      local code, out, err = h.run { args = { "check", "--flow-name", "cmd", "--flows", dir } }
      assert.equal(78, code)
      assert.truthy((out .. err):find("cmd.lua:2: ", 1, true), out .. err)
      assert.truthy((out .. err):find(says, 1, true), out .. err)
    end
    local dir = flow [[
      for i = 1, 2 do control.command { name = "twice", help = "x", run = print } end
      return { processes = { main = { command = { 'true' } } } }]]
    local code, out = h.run { args = { "check", "--flow-name", "cmd", "--flows", dir } }
    assert.equal(78, code)
    assert.truthy(out:find("a name that no other command has", 1, true), out)
  end)

  it("no command of tend's can be taken", function()
    local _, help = h.run { args = { "help" } }
    local names = {}
    for name in help:gmatch "\n  ([%l-]+) " do names[#names + 1] = name end
    assert.is_true(#names > 20)
    for _, name in ipairs { "helper", "hello", "cancel", "eval", "complete", "setting", "reload" } do names[#names + 1] = name end
    local lines = {}
    for i, name in ipairs(names) do
      lines[i] = ("assert(not pcall(control.command, { name = %q, help = 'x', run = print }), %q)"):format(name, name)
    end
    local dir = flow(table.concat(lines, "\n") .. "\nreturn { processes = { main = { command = { 'true' } } } }")
    local code, out, err = h.run { args = { "check", "--flow-name", "cmd", "--flows", dir } }
    assert.equal(0, code, out .. err)
  end)
end)
