-- The harness itself: what it promises must hold before a test can lean on it.
local h = require "harness"

local function sh(script, o)
  o = o or {}
  o.argv = { "/bin/sh", "-c", script }
  return assert(h.start(o))
end

describe("the harness", function()
  it("tells exit codes from signals and keeps both streams apart", function()
    local p = sh "echo out; echo err >&2; exit 7"
    assert.equal(7, (p:wait()))
    assert.equal("out\n", p.out)
    assert.equal("err\n", p.err)
    local code, signal = sh("kill -USR1 $$"):wait()
    assert.is_nil(code)
    assert.equal(10, signal)
  end)

  it("gives a clean environment, an own session, default signals and standard input", function()
    local p = sh("env | cut -d= -f1 | sort | tr '\\n' ' '; cat", { env = { A = "1" }, stdin = "text" })
    assert.equal(0, (p:wait()))
    assert.equal("A HOME PATH PWD text", p.out)
    p = sh("cut -d' ' -f6 /proc/self/stat; grep -E 'Sig(Ign|Blk)' /proc/self/status", { ignore = { "HUP" } })
    p:wait()
    assert.equal(p.pid, tonumber(p.out:match("^%d+")))
    assert.truthy(p.out:find("SigBlk:\t0000000000000000", 1, true))
    assert.truthy(p.out:find("SigIgn:\t0000000000000001", 1, true))
  end)

  it("waits for lines and for conditions, and says what it waited for", function()
    local p = sh "echo one; echo two; read x; echo got $x" -- /dev/null: read ends at once
    assert.equal("two", p:wait_line("^t"))
    p:wait()
    local ok, problem = pcall(h.wait_for, function() return false end, 0.05, "the impossible")
    assert.is_false(ok)
    assert.truthy(problem:find("the impossible", 1, true))
  end)

  it("talks to a program through a terminal", function()
    local p = sh("tty >/dev/null && echo ready; read x; echo \"<$x>\"", { tty = true })
    p:wait_line("ready")
    p:send("hello\n")
    p:wait_line("<hello>")
    assert.equal(0, (p:wait()))
  end)

  it("makes a program PID 1 of its own namespace", function()
    local p, problem = h.start { argv = { "/bin/sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'; exit 42" }, pid1 = true }
    if not p and problem:find("own PID namespace", 1, true) then return pending("not possible here: " .. problem) end
    assert(p, problem)
    assert.equal(42, (p:wait()))
    assert.truthy(p.out:find("^1\n"))
    p = assert(h.start { argv = { "/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait" }, pid1 = true })
    h.wait_for(function() return #p:children() == 2 end)
    p:kill("KILL")
    local _, signal = p:wait()
    assert.equal(9, signal)
  end)

  it("leaves an unread pipe unread until it is released", function()
    local p = sh("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done",
      { held = true, pipe_size = 4096 })
    h.wait_for(function() return (h.stat(p.pid) or {}).state == "S" end)
    assert.equal("", p.out)
    p:release()
    p:wait()
    assert.equal(3000 * 41, #p.out)
  end)

  it("finds and ends what a program left behind", function()
    local p = sh "setsid sleep 1000 & exit 0"
    p:wait()
    local pid = h.wait_for(function()
      local orphan = h.orphans()[1]
      return orphan and h.stat(orphan).name == "sleep" and orphan
    end)
    package.loaded.left_behind = pid
  end)

  it("had ended it when the next test began", function()
    local pid = package.loaded.left_behind
    if not pid then return pending("runs only after the test before it") end
    assert.is_nil(h.stat(pid))
  end)

  it("removes folders and closes sockets at the end of a test", function()
    local dir = h.tempdir()
    h.write(dir .. "/a", "x")
    assert.equal("x", h.read(dir .. "/a"))
    local server = h.listen()
    assert.is_nil(server.accept())
    local p = sh(("exec 3<>/dev/tcp/127.0.0.1/%d"):format(server.port))
    p.name = "a client"
    package.loaded.folder_before = dir
  end)

  it("has done so", function()
    local dir = package.loaded.folder_before
    if not dir then return pending("runs only after the test before it") end
    assert.is_false(h.exists(dir))
  end)

  it("runs the real binary", function()
    local code, out, err = h.run { args = { "version" } }
    assert.equal(0, code)
    assert.truthy(out:find("^tend %d+%.%d+%.%d+\n$"))
    assert.equal("", err)
  end)
end)
