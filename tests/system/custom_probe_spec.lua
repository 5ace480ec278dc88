-- Probes of one's own (docs/probes.md): a Lua file, and a shared object that is built here with nothing but the installed headers.
local h = require "harness"

local scripts, include

-- The headers and the example, as `make install` puts them somewhere else.
local function install()
  if include then return end
  local root = h.tempdir()
  h.sh("make -s -o all install BUILD=" .. h.build .. " DESTDIR=" .. root .. " PREFIX=/usr >/dev/null")
  include = root .. "/usr"
end

local function build(name, source, flags)
  local dir = h.tempdir()
  h.write(dir .. "/part.c", source)
  return os.execute(("cc -std=c11 -Wall -Wextra -Werror -fPIC -shared %s -I %s/include -o %s/probes/%s.so %s/part.c")
    :format(flags or "", include, scripts, name, dir)), dir
end

local function example()
  return h.read(include .. "/share/tend/examples/probes/steal.c")
end

local function run(text)
  local file = h.write(h.tempdir() .. "/job.lua", text)
  local code, out, err = h.run { args = { "script", "--scripts", scripts .. ":scripts", file } }
  return code, out .. err
end

local function passes(text)
  local code, said = run(text)
  assert.equal(0, code, said)
end

describe("a probe of one's own", function()
  before_each(function()
    scripts = h.tempdir()
    h.sh("mkdir " .. scripts .. "/probes")
  end)

  describe("in Lua", function()
    before_each(function() h.sh("cp docs/examples/probes/redis.lua " .. scripts .. "/probes/") end)

    it("is a function of probe, with parameters as it declares them", function()
      local server = h.listen()
      passes(([[
        local r = probe.redis { host = "127.0.0.1", port = 1 }
        assert(not r.ok and r.status == "fail" and r.reason == "refused" and r.seconds < 1, r.detail)
        local all = probe.all { { "redis", host = "127.0.0.1", port = 1, name = "cache" }, { "tcp", host = "127.0.0.1", port = %d } }
        assert(not all.ok and all.results[2].ok and all.detail:find("cache: ", 1, true), all.detail)
        assert(probe.any { { "redis", host = "127.0.0.1", port = 1 }, { "tcp", host = "127.0.0.1", port = %d } }.ok)
        local late = probe.run("redis", { host = "127.0.0.1", port = %d, timeout = 0.1 })
        assert(late.status == "unknown" and late.reason == "timeout", late.status .. late.reason)
        local good, err = pcall(probe.redis, { host = "h", port = 0 })
        assert(not good and err:find("job.lua:%%d+: probe.redis: port: expected a whole number from 1 to 65535"), err)
        good, err = pcall(probe.redis, { hots = "h" })
        assert(not good and err:find('did you mean "host"', 1, true), err)
        good, err = pcall(function() return probe.rediss {} end)
        assert(not good and err:find('probe.rediss: kind: unknown kind', 1, true), err)]]):format(server.port, server.port, server.port))
    end)

    it("gets defaults and seconds, and may answer with a table", function()
      h.write(scripts .. "/probes/shape.lua", [[return {
        params = { wait = { type = "duration", default = "250ms" }, of = { type = "any" }, x = { type = "number" }, on = { type = "boolean" } },
        check = function(p)
          return { status = "warn", reason = "shape", detail = json.encode(p), seen = p.wait }
        end }]])
      passes [[
        local r = probe.shape { of = { 1, 2 }, x = 1.5 }
        assert(r.ok and r.status == "warn" and r.reason == "shape" and r.data.seen == 0.25, r.detail)
        assert(r.detail == '{"of": [1, 2], "wait": 0.25, "x": 1.5}', r.detail)
        assert(probe.shape { wait = 2 }.data.seen == 2 and probe.shape { wait = "1m" }.data.seen == 60)
        assert(not pcall(probe.shape, { x = "y" }) and not pcall(probe.shape, { on = 1 }))]]
    end)

    it("is refused with file and key where its declaration is wrong", function()
      local function wrong(text, why)
        h.write(scripts .. "/probes/odd.lua", text)
        local code, said = run "probe.odd {}"
        assert.equal(1, code)
        assert.is_true(said:find(why, 1, true) ~= nil, said)
      end
      wrong("return 1", "probes/odd.lua: expected it to return a table")
      wrong("return {}", "probes/odd.lua: check: expected a function")
      wrong("return { check = print, parms = {} }", 'unknown key \\"parms\\"; did you mean \\"params\\"?')
      wrong("return { check = print, params = { a = { type = 'txt' } } }", "params.a.type: expected text, integer")
      wrong("return { check = print, params = { a = { defalt = 1 } } }", "params.a.defalt: unknown key")
      wrong("return { check = print, params = { a = { type = 'integer', max = 3, default = 4 } } }", "params.a.default: a: expected a whole number")
      wrong("return { check = ", "odd.lua:1: unexpected symbol")
    end)

    it("is a kind of checks and dependencies in a flow, whose parameters tend check checks", function()
      local flows = h.tempdir()
      local function flow(port)
        h.write(flows .. "/cache.lua", ([[return { processes = { main = { command = { "sleep", "1000" } } },
          dependencies = { { name = "cache", kind = "redis", params = { host = "127.0.0.1", port = %s }, timeout = 20, interval = 0.1 } },
          checks = { { name = "redis", kind = "redis", params = { host = "127.0.0.1", port = %s }, interval = 0.2 } } }]]):format(port, port))
      end
      h.write(flows .. "/wrong.lua", [[return { processes = { main = { "sleep", "1" } },
        checks = { { name = "c", kind = "tcp", params = { host = "h", port = 1 }, ["$probe"] = 5, prams = 3 } } }]])
      local _, wrong = h.run { args = { "check", "--flows", flows, "--flow-name", "wrong" }, env = { CONTAINER_ENVIRONMENT = "test" } }
      assert.matches('checks[1]["$probe"]: ', wrong, 1, true)
      assert.is_nil(wrong:find("skip, $probe", 1, true))
      local args = { "--flows", flows, "--scripts", scripts .. ":scripts", "--flow-name", "cache" }
      flow '"x"'
      local code, out, err = h.run { args = { "check", table.unpack(args) }, env = { CONTAINER_ENVIRONMENT = "test" } }
      assert.equal(78, code)
      assert.matches("cache.lua:2: dependencies%[1%]: redis: port: expected a whole number", out .. err)

      -- the first answer is good, later ones are not
      local server = h.start { argv = { h.sh "command -v python3":match "%S+", "-uc", [[
import socket
s = socket.create_server(("127.0.0.1", 0))
print("up", s.getsockname()[1])
answer = b"+PONG\r\n"
while True:
  c, _ = s.accept()
  if c.recv(100): c.sendall(answer); answer = b"-ERR\r\n"
  c.close()]] }, cwd = "/" }
      flow(server:wait_line("^up"):match "%d+")
      code, out = h.run { args = { "check", table.unpack(args) }, env = { CONTAINER_ENVIRONMENT = "test" } }
      assert.equal(0, code, out)
      assert.matches('cache: redis, required, timeout 20s, every 100ms; {"host": "127.0.0.1", "port": %d+}', out)
      local p = h.spawn { args = { "run", table.unpack(args) } }
      p:wait_event "dependency_ready"
      local failed = p:wait_event "health_check_failed"
      assert.equal("redis", failed.details.check)
      assert.equal("-ERR", failed.details.detail)
    end)
  end)

  describe("in C", function()
    before_each(install)

    it("is built with the installed headers alone, loaded, and gives results and facts", function()
      assert.is_true(build("steal", example()))
      passes [[
        local r = probe.steal { max = 100, over = 0.05 }
        assert(r.ok and type(r.data.percent) == "number" and r.seconds >= 0.05, r.detail)
        local late = probe.steal { max = 100, over = 60, timeout = 0.05 }
        assert(late.reason == "timeout" and late.detail:find("while measuring", 1, true), late.detail)
        local good, err = pcall(probe.steal, { max = 101 })
        assert(not good and err:find("probe.steal: max: expected a whole number from 0 to 100", 1, true), err)]]
      local flows = h.tempdir()
      h.write(flows .. "/busy.lua", [[return { processes = { main = { command = { "sleep", "1000" } } },
        checks = { { name = "steal", kind = "steal", params = { max = 100, over = 0.05 }, interval = 1 } } }]])
      local p = h.spawn { args = { "run", "--flows", flows, "--scripts", scripts .. ":scripts", "--flow-name", "busy" } }
      assert.equal("steal", p:wait_event("health_check_passed").details.check)
    end)

    it("is refused where others may write it, or it is another's", function()
      assert.is_true(build("steal", example()))
      local function refused(mode, what, why)
        h.sh(("chmod %s %s/probes%s"):format(mode, scripts, what))
        local code, said = run "probe.steal { max = 1 }"
        assert.equal(1, code)
        assert.is_true(said:find(why, 1, true) ~= nil, said)
      end
      refused("g+w", "/steal.so", "can be written by others than its owner (mode")
      refused("g-w", "/steal.so; chmod o+w " .. scripts .. "/probes", "the folder of a part")
      h.sh("chmod 755 " .. scripts .. "/probes")
      passes "assert(probe.steal { max = 100, over = 0.05 }.ok)"
      if h.root then
        h.sh("chown 12345 " .. scripts .. "/probes/steal.so")
        refused("644", "/steal.so", "belongs to uid 12345, expected root or our own uid 0")
      end
    end)

    it("is refused with a reason when it is of another version, another name, or no part", function()
      local function refused(source, why, flags)
        assert.is_true((build("steal", source, flags)))
        local code, said = run "probe.steal { max = 1 }"
        assert.equal(1, code)
        assert.is_true(said:find(why, 1, true) ~= nil, said)
      end
      local good = example()
      refused(good:gsub("TEND_ABI", "7"), "was made for another tend: its ABI is 7, this one has 1; build it with the headers of this one")
      refused(good:gsub('%.name = "steal", %.kinds', '.name = "other", .kinds'), 'calls itself \\"other\\"')
      refused("int nothing(void);\nint nothing(void) { return 0; }\n", "is no part of tend: it has no tend_part()")
      refused(good:gsub("percent = 100.0", "percent = missing() + 100.0"):gsub("struct run {", "double missing(void);\nstruct run {", 1), "undefined symbol: missing")
      h.write(scripts .. "/probes/steal.so", "no shared object")
      local code, said = run "probe.steal { max = 1 }"
      assert.equal(1, code)
      assert.matches("the part cannot be loaded", said)
    end)
  end)
end)
