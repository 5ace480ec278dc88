-- The one resolver, for each that uses it: TCP, libcurl and libpq, against name servers and addresses that do not work.
-- All of it in a network of its own: no packet leaves the machine.
local cjson = require "cjson"
local h = require "harness"
local postgres = require "postgres"
local probing = require "probing"

local ok, failed, contains = probing.ok, probing.failed, probing.contains

local python = h.sh "command -v /usr/bin/python3 || command -v python3":match "%S+"

local users = { "tcp", "http", "postgres" }

describe("the resolver", function()
  local db
  setup(function() db = postgres.missing() or postgres.start() end)
  before_each(function()
    if not python then pending "python3 is not installed" end
    if type(db) == "string" then pending(db) end
  end)

  local function params_of(kind, host)
    if kind == "tcp" then return { host = host, port = 80 } end
    if kind == "http" then return { url = ("http://%s/"):format(host) } end
    return { conninfo = db:uri { host = host, port = 5432 } }
  end

  -- A network with swallowed addresses 10.77.0.5 and fd77::5, and a name server by these rules.
  local function world(rules, resolv, more)
    local ready = h.tempdir() .. "/ready"
    local words = { python, h.top .. "/tests/system/names.py", cjson.encode(rules), ready, ("%s/.s.PGSQL.%d"):format(db.dir, db.port) }
    for i, word in ipairs(words) do words[i] = h.quote(word) end
    return probing.black_hole "10.77.0.5" .. (more or "") ..
      "ip -6 addr add fd77::1/64 dev v1 nodad; ip neigh add fd77::5 lladdr 02:00:00:00:00:05 dev v1; " ..
      probing.replace("/etc/resolv.conf", resolv or "nameserver 127.0.0.1\n") ..
      ("%s >/dev/null 2>&1 & while ! test -e %s; do sleep 0.01; done; "):format(table.concat(words, " "), h.quote(ready))
  end

  local function probe(kind, rules, ms, host, resolv, more)
    local r, problem = probing.attempt(kind, params_of(kind, host or "svc.test"), ms or 8000, { sandbox = world(rules, resolv, more) })
    assert.truthy(r, problem)
    return r
  end

  for _, kind in ipairs(users) do
    describe("for " .. kind, function()
      it("asks no name server for an address", function()
        ok(probe(kind, { A = "silent", AAAA = "silent" }, 4000, "127.0.0.1"))
        ok(probe(kind, { A = "silent", AAAA = "silent" }, 4000, kind == "tcp" and "::1" or "[::1]"))
      end)

      it("ends at its own deadline where the name server is silent", function()
        local r = probe(kind, { A = "silent", AAAA = "silent" }, 700)
        contains("svc.test", failed("timeout", r))
        assert.is_true(r.ms >= 600 and r.own_ms < 700 + 1000 * h.slow, r.ms)
      end)

      it("asks again, and asks the next name server, where the first is silent", function()
        ok(probe(kind, { A = "first", ["then"] = { "127.0.0.1" }, AAAA = "empty" }))
        ok(probe(kind, { A = { "127.0.0.1" }, AAAA = "empty", servers = { "127.0.0.2" } }, 8000, nil,
          "nameserver 10.77.0.5\nnameserver 127.0.0.2\n"))
      end)

      it("goes on to the next address where the first is dead", function()
        ok(probe(kind, { A = { "10.77.0.5", "127.0.0.1" }, AAAA = "empty" }))
        ok(probe(kind, { A = { "127.9.9.9", "127.0.0.1" }, AAAA = "empty", listen = { "127.0.0.1" } }))
      end)

      it("does without a broken AAAA", function()
        for _, rule in ipairs { "silent", "servfail", "refused", "garbage", "loop", { "fd77::5" }, { "2001:db8::5" }, { "::1" } } do
          local r = probe(kind, { A = { "127.0.0.1" }, AAAA = rule, listen = { "127.0.0.1" } }, 6000)
          assert.equal("ok", r.status, cjson.encode(rule) .. ": " .. (r.detail or ""))
          -- an answer that does not come is not waited for long
          if rule == "silent" then assert.is_true(r.own_ms < 2000 * h.slow, r.ms) end
        end
      end)

      it("does without a broken A", function()
        for _, rule in ipairs { "silent", "servfail", { "127.9.9.9" } } do
          local r = probe(kind, { A = rule, AAAA = { "::1" }, listen = { "::1" } }, 6000)
          assert.equal("ok", r.status, cjson.encode(rule) .. ": " .. (r.detail or ""))
        end
      end)

      it("takes both families of a name from the first domain that has it", function()
        -- every name of elsewhere.test has an AAAA, as a wildcard gives: it is not this name's
        local rules = { A = { "127.0.0.1" }, AAAA = { "fd77::5" }, domains = { A = "first.test", AAAA = "elsewhere.test" } }
        local resolv = "nameserver 127.0.0.1\nsearch first.test elsewhere.test\noptions ndots:5\n"
        local r = probe(kind, rules, 8000, "svc", resolv)
        ok(r)
        assert.is_true(r.own_ms < 150 * h.slow, "it tried an address of another name: " .. cjson.encode(r))
      end)

      it("tells a name that is not there, or answered in a way that makes no sense", function()
        contains("svc.test", failed("dns", probe(kind, { A = "empty", AAAA = "empty" })))
        failed("dns", probe(kind, { A = "servfail", AAAA = "servfail" }))
        failed("dns", probe(kind, { A = "loop", AAAA = "loop" }))
      end)

      it("asks link-local addresses only where they are written", function()
        for _, rules in ipairs { { A = { "169.254.169.254" } }, { AAAA = { "fe80::1" } }, { AAAA = { "::ffff:169.254.169.254" } } } do
          contains("link-local", failed("dns", probe(kind, rules)))
        end
        ok(probe(kind, { A = { "169.254.1.1", "127.0.0.1" }, AAAA = { "fe80::1" }, listen = { "127.0.0.1" } }))
        local add, rules = "ip addr add 169.254.169.254/32 dev lo; ", { listen = { "169.254.169.254" } }
        ok(probe(kind, rules, 8000, "169.254.169.254", nil, add))
        ok(probe(kind, rules, 8000, "meta.test", nil, add .. probing.replace("/etc/hosts", "169.254.169.254 meta.test\n")))
        -- with the interface that it is on
        local host = kind == "tcp" and "fe80::7%v1" or "[fe80::7%25v1]"
        ok(probe(kind, { listen = { "::" } }, 8000, host, nil, "ip -6 addr add fe80::7/64 dev v1 nodad; "))
      end)
    end)
  end
end)
