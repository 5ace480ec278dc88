-- What the specs of reloads share: an engine with a flow that can be rewritten.
local h = require "harness"
local cjson = require "cjson"

local R = {}

local function render(flow)
  return "local dir = " .. ("%q"):format(flow.dir) .. "\n" .. (flow.head or "") .. "\nreturn { name = \"some\", mode = \"server\",\n" .. flow.body .. "\n}\n"
end

--- An engine whose flow has this body. o: as for h.spawn, and `manual` (no watching), `scripts` (name → text).
function R.start(body, o)
  o = o or {}
  local dir = h.tempdir()
  os.execute(("mkdir -p %s/flows %s/scripts"):format(dir, dir))
  local self = { dir = dir, file = dir .. "/flows/some.lua" }
  for name, text in pairs(o.scripts or {}) do R.script(self, name, text) end
  self.head = o.head
  h.write(self.file, render { dir = dir, body = body, head = o.head })
  local env = { CONTAINER_RELOAD = o.watch and "watch" or "manual", CONTAINER_RELOAD_PROBATION_SECONDS = "0" }
  for k, v in pairs(o.env or {}) do env[k] = v end
  if o.uid then os.execute("chmod -R a+rX " .. dir) end
  local args = { "run", "--flow-name", "some", "--flows", dir .. "/flows", "--scripts", dir .. "/scripts" }
  for _, a in ipairs(o.args or {}) do args[#args + 1] = a end
  local p = h.spawn { args = args, env = env, pid1 = o.pid1, tty = o.tty, uid = o.uid, gid = o.uid }
  self.p = p
  if not o.early then p:wait_event("startup_completed") end
  return setmetatable(self, { __index = R })
end

--- Another flow, as an editor writes it that replaces files.
function R:write(body)
  h.write(self.dir .. "/flows/.new", render { dir = self.dir, body = body, head = self.head })
  assert(os.rename(self.dir .. "/flows/.new", self.file))
end

function R:script(name, text)
  os.execute("mkdir -p " .. h.quote((self.dir .. "/scripts/" .. name):match("^(.*)/")))
  h.write(self.dir .. "/scripts/.new", text)
  assert(os.rename(self.dir .. "/scripts/.new", self.dir .. "/scripts/" .. name))
end

--- `tend reload`: code, answer (a table; text where it was refused).
function R:reload(...)
  local code, out, err = h.ask(self.p, "reload", "--json", ...)
  return code, code == 0 and cjson.decode(out) or err
end

function R:rewrite(body)
  self:write(body)
  local code, answer = self:reload()
  assert(code == 0, answer)
  return answer
end

function R:status()
  local code, out, err = h.ask(self.p, "status", "--json")
  assert(code == 0, err)
  return cjson.decode(out)
end

local function by_name(list)
  local named = {}
  for _, x in ipairs(list) do named[x.name] = named[x.name] or x end
  return named
end

function R:processes() return by_name(self:status().processes) end
function R:checks() return by_name(self:status().checks) end

function R:wait_process(name, state)
  return h.wait_for(function()
    local x = self:processes()[name]
    if state == nil then return x == nil or nil end
    return x and x.state == state and x or nil
  end, 10, ("%s %s"):format(name, state or "gone"))
end

function R:wait_count(name, n)
  h.wait_for(function() return #self.p:events(name) >= n end, 10, ("%d %s"):format(n, name))
  return self.p:events(name)
end

return R
