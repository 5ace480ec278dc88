-- tend repl: how soon its prompt is there in a terminal, and how soon what is typed is answered.
local lab = require "lab"
local native = require "benchnative"
local terminals = require "native"
local rounds = require "rounds"
local tend = require "tend"

local TIMES = 20

-- A prompt in a terminal of its own; see(text): waits for it, in ms since the last call.
local function open(dir)
  local p = assert(terminals.spawn {
    argv = { tend.program, "repl", "--state-dir", dir .. "/state" }, tty = true, cwd = lab.top,
    env = { "TERM=xterm", "HOME=" .. dir, "TEND_HISTORY=" .. dir .. "/history", "PATH=" .. os.getenv "PATH" },
  })
  local from, out = native.now(), ""
  function p.see(text)
    local stop = native.now() + 5e9
    while not out:find(text, 1, true) do
      assert(native.now() < stop, "the prompt does not show " .. text .. ": " .. out)
      terminals.poll({ p.stdout }, 1000)
      out = out .. (terminals.read(p.stdout) or "")
    end
    return (native.now() - from) / 1e6
  end
  function p.type(text)
    from, out = native.now(), ""
    terminals.write(p.stdin, text)
  end
  return p
end

local function close(p)
  p.type "\4"
  p.see "^D"
  local stop = native.now() + 5e9
  while not terminals.wait(p.pid) and native.now() < stop do native.sleep(0.001) end
  terminals.close(p.stdout)
  terminals.close(p.stdin)
end

local function measure(c)
  local run = rounds.start(c, 1)
  local values = { attach = {}, given = {}, eval = {}, complete = {} }
  for i = 1, TIMES do
    local p = open(run.dir)
    values.attach[i] = p.see "demo> "
    p.type "21 * 2\r"
    values.eval[i] = p.see "\n42"
    p.see "demo> "
    p.type "processes.main.sta\t"
    p.see "processes.main.sta"
    p.type "\t"
    values.complete[i] = p.see "state"
    p.type "\3"
    p.see "demo> "
    close(p)
    local from = native.now()
    assert(lab.sh(("%s repl --state-dir %s/state -e '21 * 2'"):format(tend.program, run.dir)):find "42")
    values.given[i] = (native.now() - from) / 1e6
  end
  run:close()
  return values
end

return {
  name = "prompt",
  title = "The prompt",
  run = function(bench)
    local outcome = rounds.run({ tend.demo }, bench.quick and 1 or 3, measure)
    local function limit(most)
      return function() return { most = most, on = "high" } end
    end
    return {
      rounds.table(outcome, { title = "tend repl in a terminal, from its start until the prompt is there", unit = "ms", key = "attach", floor = false, limit = limit(50) }),
      rounds.table(outcome, { title = "A line typed until its value is there", unit = "ms", key = "eval", floor = false, limit = limit(10) }),
      rounds.table(outcome, { title = "Tab until the list of what fits is there", unit = "ms", key = "complete", floor = false, limit = limit(10) }),
      rounds.table(outcome, { title = "tend repl -e CHUNK, with the shell that starts it", unit = "ms", key = "given", floor = false, limit = limit(50) }),
    }
  end,
}
