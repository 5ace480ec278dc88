-- What is left to read: why, the report's exits and critical path, the termination message, a run without an end.
local cjson = require "cjson"
local h = require "harness"

local function flow(text)
  local dir = h.tempdir()
  h.write(dir .. "/some.lua", text)
  return dir
end

local function report(p)
  return cjson.decode(h.read(p.dir .. "/logs/some_lifecycle_metrics.json"))
end

local function start(o)
  return h.spawn { args = { "run", "--flow-name", "some", "--flows", o.flows }, env = o.env, stdin = true, dir = o.dir }
end

local crashing = [[return { name = "some", mode = "server",
  processes = { main = { command = { "sh", "-c", "echo starting; echo out of ideas; read x; exit 3" } } } }]]

describe("the report", function()
  it("has the ends of processes with cause, use of resources and their last lines", function()
    local p = start { flows = flow(crashing), env = { CONTAINER_RESTART_DELAY_SECONDS = "0", CONTAINER_MAX_RESTART_ATTEMPTS = "2" } }
    p:close_stdin()
    assert.equal(3, (p:wait()))
    local exits = report(p).exits
    assert.equal(3, #exits)
    local last = exits[3]
    assert.same({ "main", 3, "exit code 3", "exit" }, { last.process, last.code, last.text, last.cause })
    assert.equal("out of ideas", last.output[#last.output])
    local failures = p:events "failure_detected"
    assert.equal("process main ended: exit code 3", failures[1].message)
    assert.equal("process main ended: exit code 3; it is not started again: 2 of 2 restarts within 60 min are used up (CONTAINER_MAX_RESTART_ATTEMPTS)",
      failures[3].message)
    assert.is_true(last.pid > 0 and last.max_rss_kb > 0)
  end)

  it("has of each process its own last lines when many end at once", function()
    local dir = h.tempdir()
    assert(os.execute("mkfifo " .. dir .. "/gate"))
    local p = start { dir = dir, env = { CONTAINER_RESTART_POLICY = "no" }, flows = flow(([[return { name = "some", mode = "server",
      processes = {
        main = { command = { "sleep", "1000" } },
        worker = { instances = 100, command = { "sh", "-c", "echo I am $$; read x < %s/gate; exit 3" } },
      } }]]):format(dir)) }
    p:wait_event "startup_completed"
    h.wait_for(function() return select(2, p.out:gsub("I am", "")) == 100 end, 10, "all of them")
    local gate = assert(io.open(dir .. "/gate", "r+")) -- open for both, it waits for nobody, and who comes later finds his line
    gate:write(("\n"):rep(100))
    gate:flush()
    h.wait_for(function() return select(2, p.err:gsub('"event": "process_exited"', "")) >= 100 end, 10, "their ends")
    gate:close()
    local exits
    h.wait_for(function()
      exits = cjson.decode((select(2, h.ask(p, "report")))).exits
      return exits[#exits].output ~= cjson.null
    end, 10, "the last words of the last one")
    assert.equal("I am " .. ("%d"):format(exits[#exits].pid), exits[#exits].output[1])
    for _, e in ipairs(exits) do
      if e.output ~= cjson.null then assert.equal(("I am %d"):format(e.pid), e.output[#e.output]) end
    end
    p:kill "TERM"
    p:wait()
  end)

  it("says what the start had to wait for", function()
    local p = start { flows = flow [[return { name = "some", mode = "server",
      dependencies = {
        { name = "quick", check = function() return true end },
        { name = "slow", check = function() timer.sleep(0.2) return true end },
      },
      processes = {
        before = { command = { "sleep", "1000" }, startup = { check = function() timer.sleep(0.1) return true end } },
        main = { command = { "sleep", "1000" }, after = { "before" } },
      } }]] }
    p:wait_event "startup_completed"
    local path = cjson.decode((select(2, h.ask(p, "report")))).startup.critical_path
    local names = {}
    for i, step in ipairs(path) do names[i] = step.what end
    assert.same({ "validation of the container", "dependency slow", "process before", "process main" }, names)
    assert.is_true(path[2].duration_ms >= 200 and path[3].duration_ms >= 100)
    p:kill "TERM"
    assert.equal(0, (p:wait()))
  end)
end)

describe("tend why", function()
  local function why(p)
    return cjson.decode((select(2, h.ask(p, "why", "--json"))))
  end
  local function chain(w)
    local list = {}
    for i, link in ipairs(w.chain) do list[i] = link.what end
    return table.concat(list, "\n")
  end
  local function coming(w)
    local list = {}
    for i, next in ipairs(w.next) do list[i] = next.what end
    return table.concat(list, "\n")
  end

  it("names the dependency that a start waits for, the next attempt and the end of the wait", function()
    local p = start { flows = flow(([[return { name = "some", mode = "server",
      dependencies = { { name = "port", kind = "tcp", params = { host = "127.0.0.1", port = %d }, timeout = 60, interval = 5 } },
      processes = { main = { command = { "sleep", "1000" } } } }]]):format(h.free_port())) }
    p:wait_event "dependency_waiting"
    local w = why(p)
    assert.equal("STARTING", w.state)
    assert.matches("required dependency port is waiting after 1 attempt: refused", chain(w), 1, true)
    assert.matches("the next attempt at dependency port", coming(w), 1, true)
    assert.matches("the wait for dependency port is over", coming(w), 1, true)
    assert.is_true(w.next[1].in_seconds <= w.next[2].in_seconds)
    p:kill "TERM"
    p:wait()
  end)

  it("puts causes below what they cause, and what stands by itself beside it; no word of a check steers the terminal", function()
    local p = start { flows = flow [[
      local function bad() return "fail", "\27[31m\xc2\x9b31m\nnext: nothing" end
      return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } } }, checks = {
        { name = "a", failures = 1, interval = 0.1, timeout = 0.1, check = bad }, { name = "b", failures = 1, interval = 0.1, timeout = 0.1, check = bad } },
        remedies = { { name = "r", max = 1, steps = { { name = "s", run = function() return false, "\27[31m" end } } } } }]] }
    p:wait_event("failure_detected", { nth = 2 })
    for _, link in ipairs(why(p).chain) do assert.equal(0, link.depth) end
    for _, command in ipairs { "why", "health", "status" } do
      local _, out = h.ask(p, command)
      assert.is_nil(out:find "\27" or out:find "\xc2\x9b" or out:find "\nnext: nothing", command)
      assert.truthy(out:find("check a", 1, true), command)
      assert.is_nil(out:find("because", 1, true))
    end
    local _, _, err = h.ask(p, "remediate", "r")
    assert.truthy(err:find("?[31m", 1, true), err)
    p:kill "TERM"
    p:wait()
  end)

  it("tells of a restart: which, why, what was said last, and when", function()
    local p = start { flows = flow(crashing), env = { CONTAINER_RESTART_DELAY_SECONDS = "60" } }
    p:wait_event "startup_completed"
    p:send "go\n"
    p:wait_event "restart_initiated"
    local text
    h.wait_for(function()
      text = chain(why(p))
      return text:find("the last that it said", 1, true)
    end, 10, "the last words")
    local w = why(p)
    assert.equal("RESTARTING", w.state)
    assert.equal(2, w.chain[3].depth) -- it waits, because it ended, and said before
    assert.matches("process main waits for its restart: number 1 in a row, 1 of 5 in the window", text, 1, true)
    assert.matches("its last end: exit code 3 (exit), after", text, 1, true)
    assert.matches("the last that it said: out of ideas", text, 1, true)
    assert.matches("restart of main", coming(w), 1, true)
    assert.matches("next: restart of main in", (select(2, h.ask(p, "why"))), 1, true)
    p:kill "TERM"
    p:wait()
  end)

  it("tells of each instance what it said itself", function()
    local p = start { env = { CONTAINER_RESTART_DELAY_SECONDS = "60" }, flows = flow [[return { name = "some", mode = "server",
      processes = {
        main = { command = { "sleep", "1000" } },
        worker = { instances = 2, command = { "sh", "-c", "echo I am $$; exit 3" } },
      } }]] }
    p:wait_event "restart_initiated"
    local said
    h.wait_for(function()
      said = {}
      for who in chain(why(p)):gmatch "the last that it said: I am (%d+)" do said[#said + 1] = who end
      return #said == 2
    end, 10, "the last words of both")
    assert.not_equal(said[1], said[2])
    p:kill "TERM"
    p:wait()
  end)

  it("tells a held failure and why nothing follows", function()
    local p = start { flows = flow(crashing), env = { CONTAINER_RESTART_DELAY_SECONDS = "0", CONTAINER_MAX_RESTART_ATTEMPTS = "1", CONTAINER_ON_FAILURE = "hold" } }
    p:close_stdin()
    h.wait_for(function() return p.err:find('"final": true', 1, true) end, 10, "the final failure")
    local w
    h.wait_for(function()
      w = why(p)
      return w.state == "FAILED" and chain(w):find("it is held", 1, true)
    end, 10, "the hold")
    assert.matches("process main is not started again: 1 of 1 restarts within 60 min are used up", chain(w), 1, true)
    p:kill "TERM"
    p:wait()
  end)

  it("tells of a workload that hangs: who ends it, because of what, and that it does not end", function()
    local p = start { flows = flow [[return { name = "some", mode = "server",
      processes = { main = { command = { "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done" }, stop = { timeout = 60 } } },
      checks = { { name = "alive", role = "liveness", failures = 1, check = function() return false, "it is stuck" end } } }]] }
    p:wait_event "remediation_started"
    local text
    h.wait_for(function()
      text = chain(why(p))
      return text:find("process main was sent a stop signal and has not ended yet", 1, true)
    end, 10, "the stop")
    assert.matches("remedy restart_alive is running, step restart\ncheck alive: it is stuck", text, 1, true)
    p:kill "KILL"
    p:wait()
  end)

  it("tells that its address for HTTP is taken", function()
    local p = start { flows = flow [[return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } } } }]],
      env = { CONTAINER_HTTP_ADDRESS = "127.0.0.1:" .. h.listen().port } }
    p:wait_event "http_unavailable"
    assert.matches("nothing is served over HTTP, no probe and no metrics: Address already in use", chain(why(p)), 1, true)
    p:kill "TERM"
    p:wait()
  end)

  it("tells that who reads its output stands still", function()
    local p = h.spawn { args = { "run", "--flow-name", "one", "--", "sh", "-c", "seq 1 100000; exec sleep 1000" }, held = true }
    local text
    h.wait_for(function()
      local code, out = h.ask(p, "why")
      text = out
      return code == 0 and out:find("stands still", 1, true)
    end, 10, "the word of it")
    assert.matches("who reads tend's standard output stands still: it takes nothing now, and a process that writes waits", text, 1, true)
    p:kill "KILL"
    p:wait()
  end)

  it("names the folder that could not be entered", function()
    local p = start { flows = flow [[return { name = "some", processes = { main = { command = { "true" }, cwd = "/nowhere" } } }]] }
    assert.equal(126, (p:wait()))
    assert.equal('cannot enter the folder "/nowhere" of process main (cwd): No such file or directory', p:events("failure_detected")[1].message)
  end)
end)

describe("the termination message", function()
  it("says in words why, in the file that is there", function()
    local file = h.write(h.tempdir() .. "/termination-log", ("old "):rep(2000))
    local inode = h.sh("stat -c %i " .. file)
    local p = start {
      flows = flow(crashing),
      env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_TERMINATION_LOG = file },
    }
    p:close_stdin()
    assert.equal(3, (p:wait()))
    local text = h.read(file)
    assert.matches("^flow some %(.-%) ended with exit code 3, of the workload: process\n", text)
    assert.matches("process main (failed), its last end: exit code 3 (exit)", text, 1, true)
    assert.matches("last lines of main:\nstarting\nout of ideas\n", text, 1, true)
    assert.equal(inode, h.sh("stat -c %i " .. file)) -- a mount of one file cannot be replaced
  end)

  it("names the settings, dependencies and checks that were in the way, as the last event does", function()
    local cases = {
      { 78, 'CONTAINER_MAX_RESTART_ATTEMPTS: value "x"', "validation: CONTAINER_MAX_RESTART_ATTEMPTS", "", { MAX_RESTART_ATTEMPTS = "x" } },
      { 69, "required dependency cache is failed after", "dependency: cache is not ready, it is cold",
        'dependencies = { { name = "cache", timeout = 0.1, check = function() return false, "it is cold" end } }' },
      { 143, "remedy restart_alive ended it, check alive: it is stuck", "process main ended: signal TERM",
        'checks = { { name = "alive", role = "liveness", failures = 1, check = function() return false, "it is stuck" end } }' },
    }
    for _, case in ipairs(cases) do
      local file = h.write(h.tempdir() .. "/termination-log", "")
      local env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_TERMINATION_LOG = file }
      for name, value in pairs(case[5] or {}) do env["CONTAINER_" .. name] = value end
      local p = start {
        flows = flow(('return { name = "some", mode = "server", processes = { main = { "sleep", "1000" } }, %s }'):format(case[4])), env = env,
      }
      assert.equal(case[1], (p:wait()))
      assert.matches(case[2], h.read(file), 1, true)
      assert.matches(case[3], p:events("failure_detected")[#p:events "failure_detected"].message, 1, true)
    end
  end)

  it("is at most 4,096 bytes and holds no secret", function()
    local file = h.write(h.tempdir() .. "/termination-log", "")
    local p = start {
      flows = flow [[return { name = "some", mode = "server", requires = { "CONTAINER_RPA_DB_CONNECTION_STRING" },
        processes = { main = { command = { "sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo \"line $i of hush-hush\"; i=$((i+1)); done; exit 4" } } } }]],
      env = {
        CONTAINER_RESTART_POLICY = "no", CONTAINER_TERMINATION_LOG = file,
        CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://me:hush-hush@localhost/db",
      },
    }
    assert.equal(4, (p:wait()))
    local text = h.read(file)
    assert.is_true(#text > 500 and #text <= 4096)
    assert.matches("line 1999 of", text, 1, true)
    assert.is_nil(text:find("hush-hush", 1, true))
  end)

  it("is UTF-8, whatever was said and wherever it was cut", function()
    local file = h.write(h.tempdir() .. "/termination-log", "")
    local p = start {
      flows = flow [[return { name = "some", mode = "server", processes = { main = { command = { "sh", "-c",
        "i=0; while [ $i -lt 60 ]; do printf '%s\\377\\n' äöüßäöüßäöüßäöüßäöüßäöüßäöüßäöüßäöüßäöüßäöüß; i=$((i+1)); done; exit 4" } } } }]],
      env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_TERMINATION_LOG = file },
    }
    assert.equal(4, (p:wait()))
    local text = h.read(file)
    assert.truthy(utf8.len(text))
    assert.matches("äöüß?\n", text, 1, true)
    assert.is_true(#text <= 4096)
  end)

  it("is written nowhere where no file is", function()
    local dir = h.tempdir()
    local p = start { flows = flow(crashing), env = { CONTAINER_RESTART_POLICY = "no", CONTAINER_TERMINATION_LOG = dir .. "/none" } }
    p:close_stdin()
    assert.equal(3, (p:wait()))
    assert.is_false(h.exists(dir .. "/none"))
    assert.is_nil(p.err:find("termination message", 1, true))
  end)
end)

describe("a run that was killed as a whole", function()
  it("is told by the next one, once", function()
    local dir = h.tempdir()
    local flows = flow [[return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } } } }]]
    local function run() return start { flows = flows, dir = dir } end
    local first = run()
    h.wait_for(function() return select(2, h.sh(("grep -q started $(find %s -name run)"):format(dir))) == 0 end, 10, "the word that it leaves")
    first:kill "KILL"
    first:wait()
    local second = run()
    local told = second:wait_event "previous_run"
    assert.equal("WARNING", told.level)
    assert.truthy(told.details.started)
    second:wait_event "startup_completed"
    assert.equal(told.details.started, cjson.decode((select(2, h.ask(second, "report")))).previous_run.started)
    second:kill "TERM"
    assert.equal(0, (second:wait()))
    local third = run()
    third:wait_event "startup_completed"
    assert.equal(0, #third:events "previous_run")
    third:kill "TERM"
    third:wait()
  end)
end)
