-- For tests of health checks: a flow around the checks that are given, what the engine says of them, and the files that
-- they look at.
local h = require "harness"
local cjson = require "cjson"

local checking = {}

--- A flow whose checks (and more) are the given Lua text; `dir` is a folder that they can use. o: command, more (further
--- keys of the flow), env, args.
function checking.spawn(checks, o)
  o = o or {}
  local dir = o.place or h.tempdir()
  h.write(dir .. "/hc.lua", ([[
local dir = %q
local function file(name, t)
  t.name, t.kind, t.params = t.name or name, "file", { path = dir .. "/" .. name }
  t.interval = t.interval or 0.1
  return t
end
return {
  name = "hc",
  mode = "server",
  %s
  processes = { main = { command = %s %s } },
  checks = {
%s
  },
}
]]):format(dir, o.more or "", o.command or [[{ "sh", "-c", "echo main is up; exec sleep 1000" }]], o.process or "", checks))
  local env = { CONTAINER_RESTART_DELAY_SECONDS = 0.05, CONTAINER_HEALTH_CHECK_INTERVAL_SECONDS = 0.2 }
  for k, v in pairs(o.env or {}) do env[k] = v end
  local args = { "run", "--flow-name", "hc", "--flows", dir }
  for _, a in ipairs(o.args or {}) do args[#args + 1] = a end
  local p = (o.spawn or h.spawn) { args = args, env = env }
  p.place = dir
  if o.wait ~= false then p:wait_event "startup_completed" end
  return p
end

function checking.touch(p, name) h.write(p.place .. "/" .. name, "") end
function checking.remove(p, name) assert(os.remove(p.place .. "/" .. name)) end

function checking.place_with(...)
  local dir = h.tempdir()
  for _, name in ipairs { ... } do h.write(dir .. "/" .. name, "") end
  return dir
end

function checking.status(p)
  local code, out, err = h.ask(p, "status", "--json")
  assert(code == 0, err)
  return cjson.decode(out)
end

function checking.entry(list, name)
  for _, c in ipairs(list) do
    if c.name == name then return c end
  end
  return nil
end

function checking.check(p, name) return checking.entry(checking.status(p).checks, name) end

function checking.wait_status(p, what, predicate)
  return h.wait_for(function()
    local s = checking.status(p)
    return predicate(s) and s
  end, 10, what)
end

function checking.wait_state(p, name, state)
  return checking.wait_status(p, name .. " " .. state, function(s) return checking.entry(s.checks, name).status == state end)
end

function checking.health(p)
  local code, out = h.ask(p, "health", "--json")
  local v = cjson.decode(out)
  assert(code == (v.healthy and 0 or 1), code)
  return v
end

function checking.of(name) return { where = function(e) return e.details.check == name end } end
function checking.stop(p)
  p:kill "TERM"
  return p:wait()
end

return checking
