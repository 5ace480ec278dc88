-- Processes as /proc shows them: who descends from whom, and how long they have waited for a CPU.
local native = require "native"
local files = require "files"
local lfs = require "lfs"

local family = {}

-- The threads of a process; none where it is gone.
local function threads(pid)
  local list = {}
  local there, each, dir = pcall(lfs.dir, ("/proc/%d/task"):format(pid)) -- raises where it cannot open
  if not there then return list end
  for thread in each, dir do
    if thread:find("^%d") then list[#list + 1] = thread end
  end
  return list
end

--- { pid, name, state, ppid }, nil when it is gone.
function family.stat(pid)
  local text = files.read("/proc/" .. pid .. "/stat")
  if not text then return nil end
  local name, state, ppid = text:match("%((.*)%) (%a) (%d+)")
  return { pid = pid, name = name, state = state, ppid = tonumber(ppid) }
end

--- The pids of all below that one, zombies too, without those in `skip` and what is below these.
function family.descendants(of, skip, list)
  list = list or {}
  for _, thread in ipairs(threads(of)) do
    for pid in (files.read(("/proc/%d/task/%s/children"):format(of, thread)) or ""):gmatch("%d+") do
      pid = tonumber(pid)
      if not (skip and skip[pid]) then
        list[#list + 1] = pid
        family.descendants(pid, skip, list)
      end
    end
  end
  return list
end

-- Seconds that each thread of this program and of all below it has waited for a CPU.
local function delays()
  local list = {}
  local pids = family.descendants(native.getpid())
  pids[#pids + 1] = native.getpid()
  for _, pid in ipairs(pids) do
    for _, thread in ipairs(threads(pid)) do
      local text = files.read(("/proc/%d/task/%s/schedstat"):format(pid, thread))
      list[pid .. "/" .. thread] = text and tonumber(text:match("^%d+ (%d+)")) / 1e9 or nil
    end
  end
  return list
end

--- A function that gives the seconds since then, without those in which processes of the test that still run waited for a
--- CPU: a bound on it need not allow for a machine that is busy with something else. The second value is what was left out.
function family.stopwatch()
  local before, began = delays(), native.now()
  return function()
    local seconds, waited = native.now() - began, 0
    for thread, s in pairs(delays()) do waited = waited + s - (before[thread] or 0) end
    return seconds - waited, waited
  end
end

return family
