-- What the page says about where and how it was measured.
local lab = require "lab"
local peers = require "peers"
local proc = require "proc"
local tend = require "tend"

local machine = {}

local function os_name()
  return (proc.read "/etc/os-release" or ""):match 'PRETTY_NAME="([^"]*)"' or "Linux"
end

function machine.about(bench, seconds)
  local cpu = (proc.read "/proc/cpuinfo" or ""):match "model name%s*:%s*([^\n]*)" or lab.sh "uname -m"
  local memory = math.floor((tonumber((proc.read "/proc/meminfo"):match "MemTotal:%s*(%d+)") or 0) / 1024 / 1024 + 0.5)
  local versions = {}
  for _, p in ipairs(peers) do
    if not p.missing then versions[#versions + 1] = p.name .. " " .. p.version end
  end
  local about = {
    date = os.date "!%Y-%m-%d",
    machine = ("%s, Linux %s, %s processors (%s), %d GiB"):format(os_name(), lab.sh "uname -r", lab.sh "nproc", cpu, memory),
    build = ("tend is built as `make` does: %s, CFLAGS %s."):format(lab.sh "gcc --version | head -n 1", os.getenv "BENCH_CFLAGS" or "unknown"),
    versions = bench.peers and "Peers, from Debian: " .. table.concat(versions, ", ") .. "." or "Peers: none.",
    notes = {
      "The **floor** is a supervisor of 800 bytes without libc (tests/bench/tools/floor.c): fork, exec, wait, hand SIGTERM on, nothing else. " ..
        "Every contestant has the same child, which takes the time with its first instruction. In each round all are measured once, " ..
        "in an order that turns; a ratio is taken within its round and the middle of these is given, so that it holds where a time does not. " ..
        "\"floor again\" is the floor once more, as a contestant: what differs less than that does not differ. Given are median, 10th to 90th percentile, number of samples.",
      ("Figures are sums over all processes of a supervisor: tend's guard (not as PID 1), init, engine and journal. All write to %s and their output goes to /dev/null%s.")
        :format(lab.tmpfs and "a tmpfs" or "the disk", lab.root and "" or "; without root nothing ran as PID 1"),
      ("The run took %d min %d s; each sample waits up to %g s for the machine to be quiet; %d of %d were taken although something else ran."):format(
        seconds // 60, seconds % 60 // 1, lab.PATIENCE_S, lab.disturbed, lab.taken),
    },
  }
  if lab.disturbed * 4 > lab.taken then
    table.insert(about.notes, 1, "**The machine was busy with other things.** What is made of several processes suffers from that more than the floor does: " ..
      "times and ratios are higher than on a quiet machine, and limits may be broken that hold there.")
  end
  if lab.sh(lab.quote(tend.program) .. " version"):find "tend" then
    about.build = about.build:gsub("^tend", (lab.sh(lab.quote(tend.program) .. " version"):match "[^\n]*"))
  end
  return about
end

return machine
