-- The child's output through its supervisor into a pipe: lines a second, processor time a line, and whether all lines came.
local lab = require "lab"
local native = require "benchnative"
local peers = require "peers"
local proc = require "proc"
local rounds = require "rounds"
local tend = require "tend"

local TIMES = { raw = { times = 1.2 }, json = { times = 4 } } -- of lines that come one by one

local cat = {
  name = "cat",
  make = function(_, place)
    return { "/bin/sh", "-c", table.concat(place.child, " ") .. " | cat" }, {}
  end,
}

local function with(format)
  return {
    name = "tend, " .. format, ours = true, format = format,
    make = function(_, place)
      local argv, env = tend.demo:make(place, 1)
      env.CONTAINER_OUTPUT_FORMAT, env.CONTAINER_LOG_STREAM = format, "stdout" -- json goes where the log goes
      return argv, env
    end,
  }
end

local function supervisord(p)
  return setmetatable({
    slow = 5,
    make = function(_, place)
      local argv, env = p:make(place, 1)
      local conf = place.dir .. "/supervisord.conf"
      lab.write(conf, (proc.read(conf):gsub("stdout_logfile=NONE", "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0")))
      return argv, env
    end,
  }, { __index = p })
end

local function s6(p)
  return setmetatable({
    slow = 5, name = "s6-svscan, s6-log",
    make = function(_, place)
      local argv, env = p:make(place, 1)
      os.execute("mkdir " .. lab.quote(place.dir .. "/services/s1/log"))
      lab.write(place.dir .. "/services/s1/log/run", "#!/bin/sh\nexec s6-log 1\n", "755")
      return argv, env
    end,
  }, { __index = p })
end

local function measure(c, writes, lines)
  local place = lab.place { lab.tool "lines", tostring(lines), writes }
  local from, to = assert(native.pipe())
  local argv, env = c:make(place, 1)
  local sink = assert(native.launch { argv = { lab.tool "sink", tostring(lines), place.fifo }, env = {}, fds = { from, lab.null, lab.null } })
  lab.keep(sink)
  local run = lab.start { place = place, argv = argv, env = env, n = 1, fds = { lab.null, to, lab.null } }
  native.close(from)
  native.close(to)
  local own = run:split()
  local cpu = proc.cpu_ns(own)
  local at = assert(native.kill(run:child(), lab.USR1))
  local seen = run:wait("E", 1, 20)
  local values
  if seen then
    values = {
      rate = lines / (seen[1].ns - at) * 1e9, cpu = (proc.cpu_ns(own) - cpu) / lines / 1e3, lost = seen[1].pid,
    }
  end
  run:close()
  lab.keep(sink, false)
  native.kill(sink, lab.KILL)
  native.wait(sink, 5)
  return values or error("not all lines came out within 20 s", 0)
end

return {
  name = "output",
  title = "Output",
  run = function(bench)
    local list = { cat, setmetatable({ name = "cat again" }, { __index = cat }), with "raw", with "json", with "label" }
    if bench.peers then
      if not peers["s6-svscan"].missing then list[#list + 1] = s6(peers["s6-svscan"]) end
      if not peers.supervisord.missing then list[#list + 1] = supervisord(peers.supervisord) end
    end
    local tables = {}
    for _, kind in ipairs { { "line", 400000, 14, "a line at a time" }, { "block", 2000000, 5, "64 KiB at a time" } } do
      local writes, lines, text = kind[1], bench.quick and 20000 or kind[2], kind[4]
      local outcome = rounds.run(list, bench.n(kind[3]), function(c) return measure(c, writes, lines) end)
      tables[#tables + 1] = rounds.table(outcome, {
        title = "Processor time of the supervisor, lines of 100 bytes, written " .. text, unit = "µs a line", key = "cpu", floor = "cat",
        limit = writes == "line" and function(c) return TIMES[c.format] end or nil,
      })
      tables[#tables + 1] = rounds.table(outcome, {
        title = "Lines of 100 bytes that come through, written " .. text, unit = "a second", key = "rate", more = true, floor = "cat",
      })
      tables[#tables + 1] = rounds.table(outcome, {
        title = "Lines that are missing or out of their order, written " .. text, unit = "lines", key = "lost", floor = false,
        limit = function() return { most = 0, on = "high" } end,
      })
    end
    return tables
  end,
}
