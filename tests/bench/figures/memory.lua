-- At rest with one silent child: private dirty memory and wake-ups of all the supervisor's processes.
local lab = require "lab"
local native = require "benchnative"
local net = require "native"
local peers = require "peers"
local pg = require "pg"
local proc = require "proc"
local rounds = require "rounds"
local tend = require "tend"

local SETTLE_S, REST_S = 6, 5 -- a request over HTTP wakes tend once more, when its connection would have been idle for too long

local http = {
  name = "tend, demo, HTTP on", ours = true, http = true, most = 1300, note = "asked once for /metrics and /status",
  make = function(self, place)
    local argv, env = tend.demo:make(place, 1)
    local fd
    fd, self.port = assert(net.listen_tcp(0))
    net.close(fd)
    env.CONTAINER_HTTP_ADDRESS = "127.0.0.1:" .. self.port
    return argv, env
  end,
}

-- True when somebody answers there.
local function get(port, path)
  return lab.sh(("exec 3<>/dev/tcp/127.0.0.1/%d && printf 'GET %s HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"):format(port, path), "bash"):find "^HTTP/1"
end

return {
  name = "memory",
  title = "At rest",
  run = function(bench)
    local list = { tend.floor, tend.demo, tend.command, http }
    local database, why = pg.start()
    local rpa1 = tend.rpa1_with(database and database.uri)
    rpa1.most = 2300
    list[#list + 1] = rpa1

    -- They rest together: time is what this figure needs, and private dirty memory does not depend on the others.
    local outcome = rounds.run({}, 0)
    for i, c in ipairs(list) do
      outcome[i] = { contestant = c, samples = { memory = {}, wakeups = {}, processes = {} }, medians = {} }
    end
    if not database then outcome[#list].skip = why end
    if bench.peers then table.move(peers.list(1), 1, #peers.list(1), #list + 1, list) end
    for i, c in ipairs(list) do
      outcome[i] = outcome[i] or { contestant = c, samples = { memory = {}, wakeups = {}, processes = {} }, medians = {} }
    end
    local rest = bench.quick and 0.3 or REST_S
    for _ = 1, bench.n(2) do
      local runs = {}
      for i, c in ipairs(list) do
        if not outcome[i].skip and not outcome[i].failed then
          local ok, run = pcall(rounds.start, c, 1)
          if ok then runs[i] = run else outcome[i].failed = run end
        end
      end
      native.sleep(0.2)
      if runs[4] and not (get(http.port, "/metrics") and get(http.port, "/status")) then
        runs[4]:close()
        runs[4], outcome[4].skip = nil, "nobody answers at its HTTP address"
      end
      native.sleep(bench.quick and 0.3 or SETTLE_S)
      local before, own = {}, {}
      for i, run in pairs(runs) do
        own[i] = run:split()
        local s = outcome[i].samples
        s.memory[#s.memory + 1] = proc.private_dirty(own[i])
        s.processes[#s.processes + 1] = #own[i]
        before[i] = proc.wakeups(own[i])
      end
      native.sleep(rest)
      for i, run in pairs(runs) do
        local s = outcome[i].samples
        s.wakeups[#s.wakeups + 1] = (proc.wakeups(own[i]) - before[i]) / rest
        run:close()
      end
    end
    if database then database.stop() end
    return {
      rounds.table(outcome, {
        title = "Private dirty memory with 1 child", unit = "KiB", key = "memory", floor = false,
        about = "All processes of the supervisor, 6 s after the start.", limit = function(c) return { most = c.most or 700 } end,
      }),
      rounds.table(outcome, {
        title = "Wake-ups at rest, 1 child", unit = "a second", key = "wakeups", floor = false,
        about = "rpa1 looks at its dependencies' state once in 30 s.",
        limit = function() return { most = 0 } end,
      }),
      rounds.table(outcome, { title = "Processes of the supervisor", unit = "processes", key = "processes", floor = false }),
    }
  end,
}
