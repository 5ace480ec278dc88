-- What the container uses: the kind usage, the metrics, against the machine and real control groups of both versions.
local cjson = require "cjson"
local guest = require "guest"
local h = require "harness"
local http = require "endpoint"
local probing = require "probing"

local script = [[
-- what the group used, as the kernel counts it, just outside and just inside of the two looks
local function used()
  local v1 = fs.read "/sys/fs/cgroup/cpuacct/GROUP/cpuacct.usage"
  local v2 = not v1 and fs.read "/sys/fs/cgroup/outer/box/cpu.stat"
  return v1 and tonumber(v1) / 1e9 or tonumber(v2:match "usage_usec (%d+)") / 1e6, clock.monotonic()
end
local a, a_at = used()
local results = {}
for _, of in ipairs { "memory", "cpu", "tasks", "oom_kills", "memory_pressure" } do
  results[of] = probe.usage { of = of, fail = 100 }
end
local b, b_at = used()
while clock.monotonic() - b_at < 1 do timer.sleep(0) end
local c, c_at = used()
results.cpu = probe.usage { of = "cpu", fail = 100 }
local d, d_at = used()
results.least, results.most = (c - b) / (d_at - a_at), (d - a) / (c_at - b_at)
print("RESULTS" .. json.encode(results))
]]

local function results(out)
  local text = out:match("RESULTS(%b{})")
  if not text then error("no results: " .. out, 2) end
  return cjson.decode(text)
end

-- Of half a CPU, not of the machine: what the kernel has counted, however much a loop without a pause got.
local function check_share(r)
  local used, text = r.cpu.data.used, cjson.encode { r.cpu.data, r.least, r.most }
  assert.is_true(used > 0 and used >= r.least - 0.01 and used <= r.most + 0.01, text)
  assert.is_true(math.abs(r.cpu.data.percent - used / 0.5 * 100) < 2, text)
end

describe("the probe usage", function()
  it("tells the shares in use of everything that this machine knows", function()
    for _, of in ipairs { "memory", "disk", "descriptors", "inodes" } do
      local r = assert.truthy(probing.attempt("usage", { of = of, fail = 100 }))
      assert.equal("ok", r.status, of)
      assert.is_true(r.data.percent >= 0 and r.data.percent < 100)
    end
    local one = probing.attempt("usage", { of = "cpu", fail = 100 })
    assert.equal("unknown", one.status) -- one look is no rate
  end)

  it("warns and fails where told to, and says how much there is", function()
    local dir = h.tempdir()
    local own = { mounts = ("mount -t tmpfs -o size=10m none %s; head -c 4194304 /dev/zero >%s/data; "):format(dir, dir) }
    local full = probing.attempt("usage", { of = "disk", path = dir, warn = 1, fail = 100 }, nil, own)
    assert.equal(40, full.data.percent)
    assert.equal("warn", full.status)
    assert.equal("usage", full.reason)
    assert.matches("% of the space of " .. dir, full.detail, 1, true)
    assert.matches("expected less than 1 %", full.detail, 1, true)
    local failed = probing.attempt("usage", { of = "disk", path = dir, fail = 1 }, nil, own)
    assert.equal("fail", failed.status)
    assert.equal("missing", probing.attempt("usage", { of = "disk", path = "/none", fail = 90 }).reason)
  end)

  it("names a wrong parameter", function()
    local function refused(params) return select(2, probing.attempt("usage", params)) end
    assert.matches("of: unknown \"memry\"; expected perhaps memory", refused { of = "memry", fail = 1 }, 1, true)
    assert.matches("fail: expected warn or fail", refused { of = "memory" }, 1, true)
    assert.matches("warn: expected less than fail (80), got 90", refused { of = "memory", warn = 90, fail = 80 }, 1, true)
    assert.matches("fail: expected percent, at most 100", refused { of = "cpu", fail = 200 }, 1, true)
    assert.matches("path: goes with", refused { of = "memory", fail = 90, path = "/" }, 1, true)
  end)
end)

describe("the metrics", function()
  it("show the file system of each directory, as many as a flow may name", function()
    local dir = h.tempdir()
    h.write(dir .. "/some.lua", ([[local list = {}
      for i = 1, 60 do list[i] = "%s/d" .. i end
      return { name = "some", mode = "server", directories = list, processes = { main = { command = { "sleep", "1000" } } } }]]):format(dir))
    local p = http.spawn { args = { "run", "--flow-name", "some", "--flows", dir } }
    h.wait_for(function()
      local text = http.get(p, "/metrics").body
      return text:find 'tend_disk_usage_ratio{[^\n]*directory="d1"} [%d.]' and text:find 'tend_disk_usage_ratio{[^\n]*directory="d60"} [%d.]'
    end, 30, "the first and the last of 60 directories")
  end)
end)

describe("the probe silence", function()
  it("fails when a process has said nothing for too long, and is good again when it speaks", function()
    local dir = h.tempdir()
    h.write(dir .. "/some.lua", [[return { name = "some", mode = "server",
      processes = { main = { command = { "sh", "-c", "echo one; read x; echo two; exec sleep 1000" } } },
      checks = { require("policies.application").silence { process = "main", after = "1s", interval = 0.1, failures = 1 } } }]])
    local p = h.spawn { args = { "run", "--flow-name", "some", "--flows", dir }, stdin = true }
    assert.equal("silence_main", p:wait_event("health_check_passed").details.check)
    local failed = p:wait_event "health_check_failed"
    assert.equal("silent", failed.details.reason)
    assert.matches("^process main has said nothing for 1[%d.ms]+, expected at most 1s$", failed.details.detail)
    p:send "go\n"
    p:wait_event "recovery_completed"
    local code, out = h.ask(p, "check-now", "silence_main")
    assert.is_true(code == 0 or code == 1, out)
    assert.matches("silent_s", out, 1, true)
    p:kill "TERM"
    assert.equal(0, (p:wait()))
  end)
end)

describe("control groups", function()
  it("version 1 limit memory, CPU and tasks", function()
    local name = ("tend-test-usage-%d"):format(h.native.getpid())
    local groups = {}
    for i, controller in ipairs { "memory", "cpu", "pids", "cpuacct" } do
      groups[i] = ("/sys/fs/cgroup/%s/%s"):format(controller, name)
    end
    if not h.root or not h.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes") then
      return pending("needs root and control groups version 1")
    end
    finally(function() for _, group in ipairs(groups) do h.sh("rmdir " .. group) end end)
    for _, group in ipairs(groups) do h.sh("mkdir -p " .. group) end
    h.write(groups[1] .. "/memory.limit_in_bytes", tostring(64 << 20))
    h.write(groups[2] .. "/cpu.cfs_quota_us", "50000")
    h.write(groups[3] .. "/pids.max", "40")
    local file = h.write(h.tempdir() .. "/look.lua", (script:gsub("GROUP", name)))
    local join = {}
    for i, group in ipairs(groups) do join[i] = ("echo $$ > %s/cgroup.procs"):format(group) end
    local out = h.sh(("%s; CONTAINER_LOG_FORMAT=pretty CONTAINER_ENVIRONMENT=test HOME=/tmp exec %s script %s"):format(table.concat(join, "; "), h.quote(h.tend), file))
    local r = results(out)
    assert.equal(64, r.memory.data.most)
    assert.is_true(r.memory.data.used > 0 and r.memory.data.used < 64)
    assert.equal(0.5, r.cpu.data.most)
    check_share(r)
    assert.equal(40, r.tasks.data.most)
    assert.equal(0, r.oom_kills.data.count)
  end)

  it("version 2 do, with pressure and kills, where tend is the first process of its own group", function()
    local out = guest.run(([[
cd /sys/fs/cgroup && mkdir -p outer/box
echo +memory +cpu +pids > outer/cgroup.subtree_control
echo 67108864 > outer/memory.max   # above the own group: counts too
echo max > outer/box/memory.max
echo "50000 100000" > outer/box/cpu.max
echo 40 > outer/box/pids.max
cat > /tmp/look.lua <<'L'
%s
local bomb = process.run({ "sh", "-c", "exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'" }, { timeout = 60 })
print("BOMB" .. json.encode { signal = bomb and bomb.signal, kills = probe.usage { of = "oom_kills", warn = 1 } })
L
sh -c 'echo $$ > outer/box/cgroup.procs; CONTAINER_ENVIRONMENT=test exec tend script /tmp/look.lua'
]]):format(script))
    local r = results(out)
    assert.equal(64, r.memory.data.most)
    assert.equal(0.5, r.cpu.data.most)
    check_share(r)
    assert.equal(40, r.tasks.data.most)
    assert.equal("ok", r.memory_pressure.status)
    local bomb = cjson.decode(out:match("BOMB([^\n]*)"))
    assert.equal("warn", bomb.kills.status, out)
    assert.is_true(bomb.kills.data.count >= 1)
  end)

  it("version 2 that kill as a whole are told at the start, and by the next start that finds a run without an end", function()
    local out = guest.run([[
cd /sys/fs/cgroup && mkdir box
echo 50331648 > box/memory.max
echo 1 > box/memory.oom.group
cat > /tmp/run.sh <<'R'
echo $$ > /sys/fs/cgroup/box/cgroup.procs
exec tend run --flow-name plain --state-dir /tmp/state -- "$@"
R
export CONTAINER_ENVIRONMENT=test CONTAINER_LOG_DIR=/tmp/logs CONTAINER_MIN_FREE_DISK_MB=1 CONTAINER_LOW_FREE_DISK_MB=1 CONTAINER_HTTP_ADDRESS=off CONTAINER_LOG_FORMAT=json
sh /tmp/run.sh sh -c "sleep 2; exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'" > /tmp/first 2>&1
echo "CODE $?"
cat /tmp/first
echo SECOND
sh /tmp/run.sh true 2>&1
]])
    local first, second = out:match "^(.*)SECOND\n(.*)$"
    assert.matches("CODE 137", first, 1, true)
    assert.matches("memory.oom.group is 1", first, 1, true)
    assert.is_nil(first:find("shutdown_completed", 1, true))
    local told = second:match '[^\n]*"previous_run"[^\n]*'
    assert.is_truthy(told, second)
    assert.is_true(cjson.decode(told).details.oom_group)
    assert.matches("perhaps for want of memory", told, 1, true)
  end)
end)
