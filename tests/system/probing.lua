-- Runs build/tests/probe: one attempt, or one session of the part postgres, in a loop of its own.
local cjson = require "cjson"
local expect = require "luassert"
local h = require "harness"

local probing = {}

-- A network and mounts of one's own, where the machine gives them to this user.
local function own(flags)
  flags = (h.root and "-" or "-r") .. flags
  local out, code = h.sh("unshare " .. flags .. " true")
  if code ~= 0 then h.skip("no network and mounts of one's own here: " .. out) end
  return "/usr/bin/unshare", flags
end

--- Starts it: { env, uid, gid, parts = folder, sandbox = shell lines run before in a network and mounts of its own,
--- mounts = the same with the machine's network }.
function probing.start(argv, o)
  o = o or {}
  table.insert(argv, 1, ("%s/%s/tests/probe"):format(h.top, h.build))
  local env = { HOME = "/nonexistent", TEND_TEST_PARTS = o.parts or ("%s/%s/parts"):format(h.top, h.build) }
  for k, v in pairs(o.env or {}) do env[k] = v end
  local script = o.sandbox and "ip link set lo up; " .. o.sandbox or o.mounts
  if script then
    local unshare, flags = own(o.sandbox and "mn" or "m")
    argv = { unshare, flags, "sh", "-ec", script .. "\nexec \"$@\"", "sh", table.unpack(argv) }
  end
  return assert(h.start { argv = argv, env = env, cwd = "/", uid = o.uid, gid = o.gid })
end

--- The objects that it has printed so far.
function probing.lines(p)
  local list = {}
  for line in p.out:gmatch("[^\n]+") do list[#list + 1] = cjson.decode(line) end
  return list
end

-- The longest that a loop may sleep where it should not, and how often that is looked at.
local STILL_MS, LOOKS = 100, 3

--- What `run` gives, lines that tell of the loop. It is run again where the loop stood still: one that blocks does
--- so each time, one that the machine kept (a cold disk, a lock that another test's network holds) does not.
function probing.awake(run)
  for look = 1, LOOKS do
    local lines, problem = run()
    local still = 0
    for _, line in ipairs(lines or {}) do still = math.max(still, line.asleep_ms or 0) end
    if still < STILL_MS then return lines, problem end
    expect.truthy(look < LOOKS, ("the loop stood still for %d ms"):format(still))
  end
end

local function attempt(kind, params, ms, o)
  local watch = h.stopwatch()
  local p = probing.start({ kind, cjson.encode(params), tostring(ms or 10000) }, o)
  local code = p:wait(30)
  local lines, problem = probing.lines(p), p.err
  if lines[1] then lines[1].own_ms = lines[1].ms - lines[1].waited_ms - select(2, watch()) * 1000 end
  p:close()
  if code ~= 0 then return nil, problem end
  return lines
end

--- One attempt, whose loop never stood still: its result; nil and the message where it was refused. `ms` is how long it
--- took, `own_ms` the same without what it and its servers waited for a CPU.
function probing.attempt(kind, params, ms, o)
  local lines, problem = probing.awake(function() return attempt(kind, params, ms, o) end)
  return lines and lines[1], problem
end

--- Shell lines for a sandbox: packets to that address (in 10.77.0.0/24) are swallowed.
function probing.black_hole(address)
  return "ip link add v1 type veth peer name v2; ip addr add 10.77.0.1/24 dev v1; ip link set v1 up; ip link set v2 up; " ..
    ("ip neigh add %s lladdr 02:00:00:00:00:05 dev v1; "):format(address)
end

--- Shell lines for a sandbox: another content of a file in /etc.
function probing.replace(path, text)
  return ("f=$(mktemp); printf %s >$f; chmod 644 $f; mount --bind $f %s; rm -f $f; "):format(h.quote(text:gsub("\n", "\\n")), path)
end

-- What a result must be; each gives on what the next assertion wants. Text is compared as it is, no pattern.

function probing.ok(r, problem)
  expect.truthy(r, problem)
  expect.equal("ok", r.status, r.detail)
  return r.data
end

function probing.failed(reason, r)
  expect.equal("fail", r.status)
  expect.equal(reason, r.reason, r.detail)
  return r.detail
end

function probing.contains(part, text) expect.truthy(text:find(part, 1, true), text .. "\n  does not hold: " .. part) end

function probing.lacks(part, text) expect.falsy(text:find(part, 1, true), text) end

return probing
