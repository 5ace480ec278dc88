-- What /proc says about a supervisor: all its processes and all their threads, without the children it supervises.
local native = require "benchnative"
local lfs = require "lfs"

local proc = {}

local function read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read "a"
  f:close()
  return text
end
proc.read = read

local function tasks(pid)
  local list, dir = {}, ("/proc/%d/task"):format(pid)
  local there, each, open = pcall(lfs.dir, dir) -- raises where it cannot open: the process is gone
  if not there then return list end
  for task in each, open do
    if task:match "^%d+$" then list[#list + 1] = dir .. "/" .. task end
  end
  return list
end

--- The pids of all that descend from it.
function proc.descendants(pid, list)
  list = list or {}
  for _, task in ipairs(tasks(pid)) do
    for child in (read(task .. "/children") or ""):gmatch "%d+" do
      list[#list + 1] = math.tointeger(tonumber(child))
      proc.descendants(list[#list], list)
    end
  end
  return list
end

local function program(pid)
  local name = (read(("/proc/%d/stat"):format(pid)) or ""):match "%((.*)%)"
  return name or ""
end

--- supervisor pids, child pids: the children are those whose program is called so.
function proc.split(pid, child_name)
  local own, children = { pid }, {}
  for _, p in ipairs(proc.descendants(pid)) do
    local list = program(p) == child_name and children or own
    list[#list + 1] = p
  end
  return own, children
end

--- Private dirty memory of these processes, KiB. What several of them run in counts once.
function proc.private_dirty(pids)
  local sum, counted = 0, {}
  for _, pid in ipairs(pids) do
    local again = false
    for _, other in ipairs(counted) do again = again or native.same_memory(pid, other) end
    if again then goto next end
    counted[#counted + 1] = pid
    sum = sum + (tonumber((read(("/proc/%d/smaps_rollup"):format(pid)) or ""):match "Private_Dirty:%s+(%d+)") or 0)
    ::next::
  end
  return sum
end

--- How often the threads of these processes were put on a processor.
function proc.wakeups(pids)
  local sum = 0
  for _, pid in ipairs(pids) do
    for _, task in ipairs(tasks(pid)) do
      for n in (read(task .. "/status") or ""):gmatch "ctxt_switches:%s+(%d+)" do sum = sum + n end
    end
  end
  return sum
end

--- Time on a processor of all their threads, nanoseconds. Threads and processes that have ended are not in it.
function proc.cpu_ns(pids)
  local sum = 0
  for _, pid in ipairs(pids) do
    for _, task in ipairs(tasks(pid)) do
      sum = sum + (tonumber((read(task .. "/schedstat") or ""):match "^%d+") or 0)
    end
  end
  return math.tointeger(sum)
end

return proc
