-- For the specs of `tend repl`: one engine for a file (sessions do not meet), chunks that it is given, a prompt in a terminal.
local h = require "harness"
local expect = require "luassert"
local pages = require "pages"

local prompting = {}

prompting.page = pages.blocks "docs/repl.md"
prompting.flow = prompting.page[1].text
prompting.dir = h.tempdir()
local dir = prompting.dir

--- Starts the engine; what a file calls in its setup().
function prompting.start()
  h.write(dir .. "/shop.lua", prompting.flow)
  h.write(dir .. "/counter.lua", "return { n = 7 }")
  local engine = h.spawn { args = { "run", "--flow-name", "shop", "--flows", dir, "--scripts", dir },
    env = { CONTAINER_DATABASE_SHOP_CONNECTION_STRING = "postgresql://keeper:t0p-secret-word@db/shop" } }
  engine:wait_event("startup_completed")
  engine:wait_event("health_check_passed", { where = function(e) return e.details.check == "till" end })
  prompting.engine = engine
  return engine
end

--- `tend repl …` on its way: { args, stdin, held, … as for h.spawn }, `of` another engine.
function prompting.spawn(o)
  local of = o.of or prompting.engine
  local all = { dir = of.dir, env = { CONTAINER_STATE_DIR = of.env.CONTAINER_STATE_DIR, TEND_HISTORY = of.dir .. "/history" } }
  for k, v in pairs(o) do
    if k == "env" then
      for name, value in pairs(v) do all.env[name] = value end
    else
      all[k] = v
    end
  end
  all.args = { "repl", table.unpack(o.args or {}) }
  return h.spawn(all)
end

--- `tend repl …` to its end: exit code, standard output, standard error.
function prompting.repl(...)
  local p = prompting.spawn { args = { ... } }
  return p:wait(), p.out, p.err
end

--- What one chunk gives: its output, checked for success.
function prompting.eval(chunk, ...)
  local code, out, err = prompting.repl("-e", chunk, ...)
  expect.equal(0, code, chunk .. ": " .. out .. err)
  return (out:gsub("\n$", ""))
end

function prompting.pid_of(name)
  return tonumber(prompting.eval(("processes.%s.pid"):format(name)))
end

--- A session in a terminal: what is typed, what is seen without the terminal's control sequences.
function prompting.terminal(option, of)
  local p = prompting.spawn { args = { option }, of = of, tty = true, env = { TERM = "xterm", HOME = dir } }
  local at = 1
  local function plain()
    return (p.out:sub(at):gsub("\27%[[%d;?]*%a", ""):gsub("\27[()]%w", ""):gsub("[\r\7\b]", ""))
  end
  return {
    process = p,
    see = function(text, what)
      h.wait_for(function() return plain():find(text, 1, true) end, 10, what or text)
      return plain()
    end,
    type = function(text)
      at = #p.out + 1
      p:send(text)
    end,
    seen = plain,
  }
end

return prompting
