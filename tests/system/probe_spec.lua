-- The built-in kinds of probes against the real thing, and parts that others could have written.
local h = require "harness"
local probing = require "probing"

local ok, failed, contains, lacks = probing.ok, probing.failed, probing.contains, probing.lacks

describe("the probe tcp", function()
  it("connects by name and address", function()
    local listener = h.listen()
    ok(probing.attempt("tcp", { host = "127.0.0.1", port = listener.port }))
    local data = ok(probing.attempt("tcp", { host = "localhost", port = listener.port }))
    assert.equal("127.0.0.1:" .. listener.port, data.address)
  end)

  it("tries the next address of a name", function()
    local listener = h.listen()
    local o = { mounts = probing.replace("/etc/hosts", "127.9.9.1 svc.test\n127.0.0.1 svc.test\n") }
    ok(probing.attempt("tcp", { host = "svc.test", port = listener.port }, 10000, o))
    local detail = failed("refused", probing.attempt("tcp", { host = "svc.test", port = h.free_port() }, 10000, o))
    contains("127.9.9.1:", detail)
    contains("127.0.0.1:", detail)
  end)

  it("takes hosts and ports of any shape", function()
    local o = { sandbox = probing.replace("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch a.test " .. ("b"):rep(200) .. ".test\n") }
    for _, host in ipairs { ("a"):rep(50000), ("a."):rep(500), "a b", "a\nb", "http://a/", "[::1]", "-x", ".", "..", "a..b", "a%s%n", "\u{fc}.test",
      "::1%", "fe80::1%nosuch", "1.2.3.4.5", "*", "$(id)", "a\u{0}b" } do
      local r, problem = probing.attempt("tcp", { host = host, port = 1 }, 5000, o)
      assert.truthy(r, problem)
      assert.equal("fail", r.status, host:sub(1, 40))
      assert.truthy(({ dns = true, unreachable = true })[r.reason], host:sub(1, 40) .. ": " .. r.reason .. ": " .. r.detail)
      assert.is_true(#r.detail < 256)
    end
    for _, params in ipairs { { host = "a", port = 0 }, { host = "a", port = 65536 }, { host = "a", port = -1 }, { host = "a", port = 1.5 },
      { host = "a", port = "80" }, { host = "a", port = 1e300 }, { host = "", port = 1 }, { host = { "a" }, port = 1 }, { port = 1 } } do
      local r, problem = probing.attempt("tcp", params)
      assert.is_nil(r)
      assert.truthy(problem:find("host: ", 1, true) or problem:find("port: ", 1, true), problem)
    end
  end)

  it("tells an address that swallows packets and a network that is not there", function()
    local r = probing.attempt("tcp", { host = "10.77.0.5", port = 80 }, 700, { sandbox = probing.black_hole "10.77.0.5" })
    contains("while connecting to 10.77.0.5 port 80", failed("timeout", r))
    failed("unreachable", probing.attempt("tcp", { host = "10.88.0.5", port = 80 }, 10000, { sandbox = "true" }))
  end)
end)

describe("the probe dns", function()
  it("resolves names of the hosts file", function()
    assert.truthy(ok(probing.attempt("dns", { host = "localhost" })).addresses:find "127.0.0.1")
    local o = { mounts = probing.replace("/etc/hosts", "10.1.2.3 svc.test\n") }
    assert.equal("10.1.2.3", ok(probing.attempt("dns", { host = "svc.test" }, 10000, o)).addresses)
  end)

  it("tells a name server that is silent from one that is not there, and blocks nothing", function()
    local dead = { sandbox = probing.black_hole "10.77.0.53" .. probing.replace("/etc/resolv.conf", "nameserver 10.77.0.53\n") }
    local r = probing.attempt("dns", { host = "svc.test" }, 700, dead)
    contains("svc.test", failed("timeout", r))
    failed("dns", probing.attempt("dns", { host = "svc.test" }, 10000,
      { sandbox = probing.replace("/etc/resolv.conf", "nameserver 127.0.0.1\n") }))
  end)
end)

describe("the probe command", function()
  it("runs anew however often its time was over: what was killed counts until it is gone, no longer", function()
    local file = h.write(h.tempdir() .. "/often.lua", [[
      for _ = 1, 150 do
        local r = probe.command { command = { "sleep", "9" }, timeout = 0.005 }
        assert(r.reason == "timeout", r.detail)
      end]])
    local code, out, err = h.run { args = { "script", file } }
    assert.equal(0, code, out .. err)
  end)

  it("is good when the command exits with 0", function()
    ok(probing.attempt("command", { command = { "true" } }))
    ok(probing.attempt("command", { command = "test \"$PWD\" = /tmp", cwd = "/tmp" }))
  end)

  it("tells the exit code, the signal and the last output", function()
    contains("exited with 7: no luck", failed("exit", probing.attempt("command", { command = "echo no luck >&2; exit 7" })))
    failed("signal", probing.attempt("command", { command = "kill -9 $$" }))
    local r = probing.attempt("command", { command = "exit 1", exits = { ["1"] = "warn" } })
    assert.equal("warn", r.status)
  end)

  it("tells what cannot be run", function()
    contains("/none/such cannot be run: No such file", failed("exec", probing.attempt("command", { command = { "/none/such" } })))
    contains("cannot be run in /none", failed("exec", probing.attempt("command", { command = { "true" }, cwd = "/none" })))
  end)

  it("kills the whole group at the deadline", function()
    local dir = h.tempdir()
    local command = ("sleep 1000 & echo $! >%s/pid; sleep 1000"):format(dir)
    contains("while running", failed("timeout", probing.attempt("command", { command = command }, 500)))
    local pid = tonumber(h.read(dir .. "/pid"))
    h.wait_for(function()
      local s = h.stat(pid)
      return not s or s.state == "Z"
    end, 10, "the end of the background child")
  end)

  it("keeps the end of long output", function()
    local detail = failed("exit", probing.attempt("command", { command = "yes | head -c 300000; echo; echo last words; exit 1" }))
    assert.truthy(detail:find "exited with 1")
  end)
end)

describe("the probes file and directory", function()
  it("look at the type, the rights, the size and the age", function()
    local dir = h.tempdir()
    local file = h.write(dir .. "/a", "12345")
    assert.equal(5, ok(probing.attempt("file", { path = file, writable = true, non_empty = true, max_age = "1h" })).size)
    ok(probing.attempt("directory", { path = dir, writable = true, non_empty = true }))
    contains("a file, expected a directory", failed("type", probing.attempt("directory", { path = file })))
    failed("missing", probing.attempt("file", { path = dir .. "/none" }))
    failed("small", probing.attempt("file", { path = file, min_size = 6 }))
    failed("permission", probing.attempt("file", { path = file, executable = true }))
    h.sh("touch -d '2 hours ago' " .. h.quote(file))
    failed("old", probing.attempt("file", { path = file, max_age = "1h" }))
    failed("empty", probing.attempt("directory", { path = h.tempdir(), non_empty = true }))
  end)

  it("see what an ordinary user may do", function()
    if h.build == "build-cov" then return pending("another user cannot write the coverage data, and says so on the output") end
    if not h.root then pending "needs root to become another user" end
    local dir = h.tempdir()
    h.sh("chmod 755 " .. h.quote(dir))
    local file = h.write(dir .. "/a", "x")
    h.sh("chmod 600 " .. h.quote(file))
    local o = { uid = 65534, gid = 65534 }
    contains("is not readable for tend's user", failed("permission", probing.attempt("file", { path = file }, 10000, o)))
    failed("permission", probing.attempt("directory", { path = dir, writable = true }, 10000, o))
  end)

  it("tell a read-only mount", function()
    local dir = h.tempdir()
    local r = probing.attempt("directory", { path = dir, writable = true }, 10000,
      { mounts = ("mount -t tmpfs -o ro none %s"):format(h.quote(dir)) })
    contains("mounted read-only", failed("read_only", r))
  end)
end)

describe("the probe unix", function()
  local python = h.sh "command -v /usr/bin/python3 || command -v python3":match "%S+"

  it("connects to a socket where something listens", function()
    if not python then pending "python3 is not installed" end
    local path = h.tempdir() .. "/s"
    local server = assert(h.start { argv = { python, "-c", [[
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(0)
print("up", flush=True)
time.sleep(1000)]], path }, cwd = "/" })
    server:wait_line "up"
    ok(probing.attempt("unix", { path = path }))
    -- what nobody accepts fills the queue, and then it waits
    local r
    h.wait_for(function()
      r = probing.attempt("unix", { path = path }, 300)
      return r.status ~= "ok"
    end, 20, "a full queue")
    contains("while looking at " .. path, failed("timeout", r))
    server:close()
    failed("refused", probing.attempt("unix", { path = path }))
  end)

  it("tells what is not there, and what is none", function()
    local dir = h.tempdir()
    contains(dir .. "/none", failed("missing", probing.attempt("unix", { path = dir .. "/none" })))
    failed("refused", probing.attempt("unix", { path = h.write(dir .. "/file", "") }))
    contains("too long", failed("io", probing.attempt("unix", { path = dir .. ("/x"):rep(60) })))
  end)
end)

describe("the probe process", function()
  it("finds a process by its pid file and by its name", function()
    local dir = h.tempdir()
    h.sh(("cp /bin/sleep %s/tendtestsleep"):format(h.quote(dir)))
    local p = assert(h.start { argv = { dir .. "/tendtestsleep", "1000" }, cwd = "/" })
    local file = h.write(dir .. "/pid", p.pid .. "\n")
    h.wait_for(function() return h.read(("/proc/%d/comm"):format(p.pid)) == "tendtestsleep\n" end, 10, "the exec")
    assert.same({ pid = p.pid, name = "tendtestsleep" }, ok(probing.attempt("process", { pid_file = file })))
    ok(probing.attempt("process", { pid_file = file, name = "tendtestsleep" }))
    ok(probing.attempt("process", { name = "tendtestsleep" }))
    contains("expected \"postgres\"", failed("missing", probing.attempt("process", { pid_file = file, name = "postgres" })))
    p:close()
    contains("there is no process " .. p.pid, failed("missing", probing.attempt("process", { pid_file = file })))
    contains("no process \"nosuchname\"", failed("missing", probing.attempt("process", { name = "nosuchname" })))
  end)

  it("of the plan: is it up, how many of it, for how long", function()
    local dir = h.tempdir()
    h.write(dir .. "/own.lua", [[
return {
  name = "own", mode = "server",
  processes = { main = { "sleep", "1000" }, worker = { command = { "sleep", "1000" }, instances = 3 },
    once = { command = { "true" }, mode = "single", restart = "no" } },
  checks = {
    { name = "workers", kind = "process", params = { process = "worker" }, interval = 0.1 },
    { name = "four", kind = "process", params = { process = "worker", instances = 4 }, interval = 0.1 },
    { name = "old", kind = "process", params = { process = "main", min_uptime = "1h" }, interval = 0.1 },
    { name = "once", kind = "process", params = { process = "once" }, interval = 0.1 },
    { name = "nobody", kind = "process", params = { process = "nobody" }, interval = 0.1 },
    { name = "script", interval = 0.1, check = function()
        local r = probe.process { process = "main" }
        if not r.ok or r.data.running ~= 1 or r.data.instances ~= 1 or r.data.uptime_s < 0 or r.data.pid < 1 then return false, r.detail end
        return true
      end },
  },
}
]])
    local p = h.spawn { args = { "run", "--flow-name", "own", "--flows", dir } }
    p:wait_event "startup_completed"
    local expected = { workers = "ok", four = "worker: 3 of 4 are up", old = "main has been up for", once = "once is not up: it is done",
      nobody = 'no process "nobody"', script = "ok" }
    h.wait_for(function()
      for name, text in pairs(expected) do
        local _, out = h.ask(p, "check-now", name)
        if text == "ok" and not out:find("ok", 1, true) or text ~= "ok" and not out:find(text, 1, true) then return false end
      end
      return true
    end, 10, "the results")
    p:kill "TERM"
    p:wait()
    local r = probing.attempt("process", { process = "main" })
    assert.equal("unknown", r.status)
    contains("no engine here to ask", r.detail)
    for message, params in pairs { ["either process"] = { process = "a", name = "b" }, ["required together with"] = { name = "a", instances = 1 } } do
      local refused, problem = probing.attempt("process", params)
      assert.is_nil(refused)
      contains(message, problem)
    end
  end)

  it("tells a pid file that is not there or holds something else", function()
    local dir = h.tempdir()
    failed("missing", probing.attempt("process", { pid_file = dir .. "/none" }))
    for _, text in ipairs { "", "hello", "-1", "0", "99999999999999999999" } do
      failed("content", probing.attempt("process", { pid_file = h.write(dir .. "/pid", text) }))
    end
    assert.equal(1, ok(probing.attempt("process", { pid_file = h.write(dir .. "/pid", "         1\n") })).pid)
    for _, params in ipairs { {}, { pid_file = "pid" }, { name = "/bin/sh" } } do
      assert.is_nil((probing.attempt("process", params)))
    end
  end)
end)

describe("the probe resource", function()
  it("compares what is there with what is asked for", function()
    local data = ok(probing.attempt("resource", { cpus = 1, memory_mb = 1, disk_mb = 1, path = "/", descriptors = 10 }))
    for _, key in ipairs { "cpus", "memory_mb", "disk_mb", "descriptors" } do assert.is_true(data[key] >= 1) end
    local detail = failed("resource", probing.attempt("resource", { memory_mb = 1000000000, descriptors = 10, disk_mb = 1000000000 }))
    contains("MB of memory, expected at least 1000000000", detail)
    contains("MB of disk space at /, expected at least", detail)
    lacks("descriptors", detail)
    failed("missing", probing.attempt("resource", { disk_mb = 1, path = "/none" }))
    assert.is_nil((probing.attempt("resource", {})))
    assert.is_nil((probing.attempt("resource", { path = "/" })))
  end)

  it("counts the connections of its network, by state", function()
    if not h.sh "command -v python3":find "python" then pending "python3 is not installed" end
    local ready = h.tempdir() .. "/ready"
    -- 20 connections on ::1 and 127.0.0.1, so 40 ends; of 5 the server has closed its own end
    local script = h.write(h.tempdir() .. "/c.py", [==[
import socket, sys, time
s4, s6 = socket.create_server(("127.0.0.1", 0)), socket.create_server(("::1", 0), family=socket.AF_INET6)
keep = []
for s in [s4] * 10 + [s6] * 10:
  c = socket.create_connection(s.getsockname()[:2])
  keep += [c, s.accept()[0]]
for i in range(5):
  keep[2 * i + 1].close()
time.sleep(0.2)
open(sys.argv[1], "w").close()
time.sleep(1000)
]==])
    local world = ("python3 %s %s >/dev/null 2>&1 & while ! test -e %s; do sleep 0.01; done; "):format(script, ready, ready)
    local function look(params)
      os.remove(ready)
      return probing.attempt("resource", params, 20000, { sandbox = world })
    end
    assert.same({ connections = 40 }, ok(look { connections = 40 }))
    contains("40 connections (30 established, 5 closing, 5 close_wait), expected at most 39", failed("resource", look { connections = 39 }))
    assert.same({ connections = 5 }, ok(look { connections = 5, connection_state = "close_wait" }))
    contains("5 connections in state close_wait, expected at most 4",
      failed("resource", look { connections = 4, connection_state = "close_wait" }))
    assert.same({ connections = 0 }, ok(probing.attempt("resource", { connections = 1 }, 20000, { sandbox = "true" })))
    for message, params in pairs { ["connection_state: goes with connections only"] = { cpus = 1, connection_state = "opening" },
      ["expected established, opening"] = { connections = 1, connection_state = "open" } } do
      local r, problem = probing.attempt("resource", params)
      assert.is_nil(r)
      contains(message, problem)
    end
  end)

  it("counts the CPUs that it may run on", function()
    local p = assert(probing.start { "resource", '{"cpus": 2}', "10000" })
    p:wait(30)
    local all = probing.lines(p)[1]
    p:close()
    if all.status ~= "ok" then pending "there is one CPU alone" end
    local one = h.sh(("taskset -c 0 %s/%s/tests/probe resource '{\"cpus\": 2}' 10000"):format(h.quote(h.top), h.build))
    contains("1 CPUs, expected at least 2", one)
  end)
end)

describe("a part", function()
  local function build(dir, name, source)
    local file = h.write(("%s/%s.c"):format(dir, name), source)
    local out, code = h.sh(("gcc -shared -fPIC -I%s/include -o %s/%s.so %s"):format(h.quote(h.top), h.quote(dir), name, h.quote(file)))
    if code ~= 0 then pending("no compiler for the part: " .. out) end
  end

  local answer = [[
#include <stdlib.h>
#include <tend/part.h>
static const struct tend_host *host; static struct tend_timer *timer; static struct tend_probe *probe;
static void later(void *arg) {
  struct tend_fact fact = {.name = "answer", .number = 42};
  host->timer_free(timer);
  host->probe_done(probe, &(struct tend_result){.status = TEND_OK, .facts = &fact, .nfacts = 1});
}
static void *start(const struct tend_host *h, struct tend_probe *p, const struct tend_params *ps, int64_t deadline, char *msg,
                   size_t size) {
  host = h; probe = p; timer = h->timer_new(h->self, later, NULL);
  h->timer_at(timer, h->now_ns(h->self) + h->param_ns(ps, "after", 0));
  h->probe_progress(p, "thinking");
  return timer;
}
static void cancel(void *run) { host->timer_free(run); }
static const struct tend_param params[] = {{.name = "after", .type = TEND_DURATION, .doc = "how long it thinks"}, {0}};
static const struct tend_probe_kind kinds[] = {
  {.name = "answer", .doc = "", .params = params, .start = start, .cancel = cancel}, {0}};
const struct tend_part *tend_part(void) {
  static const struct tend_part part = {.abi = TEND_ABI, .name = "answer", .kinds = kinds};
  return &part;
}
]]

  it("can be anyone's", function()
    local dir = h.tempdir()
    build(dir, "answer", answer)
    local o = { parts = dir }
    assert.equal(42, ok(probing.attempt("answer", {}, 10000, o)).answer)
    contains("while thinking", failed("timeout", probing.attempt("answer", { after = 60 }, 100, o)))
    local _, problem = probing.attempt("answer", { aftre = 60 }, 100, o)
    contains("aftre: unknown parameter; did you mean \"after\"?", problem)
  end)

  it("is refused when it is none, or made for another tend", function()
    local dir = h.tempdir()
    local o = { parts = dir }
    build(dir, "old", answer:gsub("TEND_ABI", "99"):gsub('"answer"', '"old"'))
    build(dir, "other", answer)
    build(dir, "empty", "int nothing;\n")
    h.write(dir .. "/garbage.so", "this is no library")
    for kind, message in pairs { old = "made for another tend: its ABI is 99", other = "calls itself \"answer\"",
      empty = "has no tend_part()", garbage = "cannot be loaded" } do
      local r, problem = probing.attempt(kind, {}, 1000, o)
      assert.is_nil(r)
      contains(message, problem)
    end
    local _, problem = probing.attempt("postgres", { conninfo = "host=a" }, 1000, o)
    contains(dir .. "/postgres.so cannot be read: No such file or directory; install the library", problem)
  end)
end)
