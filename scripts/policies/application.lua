-- The workload's own health, as checks.
--
--   local application = require "policies.application"
--   checks = { application.heartbeat { path = set.DATA_DIR .. "/beat", max_age = 60 }, application.restarts() }
local check = require "policies.check"

local application = {}

--- A file that the workload touches while it gets on: it is not older than max_age.
---@param o table  path, max_age (seconds); the keys of a check
function application.heartbeat(o)
  o = check.health_options("application.heartbeat", o, { path = "!text", max_age = "!seconds" })
  return check.health(o, {
    name = "heartbeat_" .. check.slug(o.path),
    description = ("%s is touched every %s"):format(o.path, type(o.max_age) == "number" and o.max_age .. " s" or o.max_age),
    kind = "file",
    params = { path = o.path, max_age = o.max_age },
  })
end

--- An HTTP endpoint of the workload answers well.
---@param o table  url; status, contains, json, headers, the keys of a check
function application.http(o)
  o = check.health_options("application.http", o, {
    url = "!text", status = "status", contains = "text", json = "table", headers = "table",
  })
  return check.health(o, {
    name = "http_" .. check.slug(o.url:gsub("^%a+://", "")),
    description = ("%s answers"):format(o.url),
    kind = "http",
    params = { url = o.url, status = o.status, contains = o.contains, json = o.json, headers = o.headers },
  })
end

--- A process writes something now and then: it is not silent for longer than `after`.
---@param o table  process, after, instance; the keys of a check
function application.silence(o)
  o = check.health_options("application.silence", o, { process = "!text", after = "!seconds", instance = "number" })
  return check.health(o, {
    name = "silence_" .. check.slug(o.process),
    description = ("%s writes something"):format(o.process),
    role = "monitor",
    kind = "silence",
    params = { process = o.process, after = o.after, instance = o.instance },
  })
end

--- A process of the flow is up.
---@param o table  process, min_uptime, instances; the keys of a check
function application.process(o)
  o = check.health_options("application.process", o, { process = "!text", min_uptime = "seconds", instances = "count" })
  return check.health(o, {
    name = "process_" .. check.slug(o.process),
    description = ("%s is up"):format(o.process),
    kind = "process",
    params = { process = o.process, min_uptime = o.min_uptime, instances = o.instances },
  })
end

--- The restarts that are still remembered (CONTAINER_RESTART_WINDOW_MINUTES): a warning from 3 on.
---@param o? table  warn, fail; the keys of a check
function application.restarts(o)
  o = check.health_options("application.restarts", o or {}, { warn = "count", fail = "count" })
  local warn, fail = o.warn, o.fail
  if not warn and not fail then warn = 3 end
  return check.health(o, {
    name = "restarts",
    description = "it is not restarted again and again",
    role = "monitor",
    check = function()
      local status, err = lifecycle.status()
      if not status then return nil, err end
      local n = status.restarts_in_window
      local detail = ("%d restarts within the window"):format(n)
      if fail and n >= fail then return "fail", detail end
      if warn and n >= warn then return "warn", detail end
      return true
    end,
  })
end

--- Settings that the workload needs have a value, also after their files were changed.
---@param names string[]  settings, with or without CONTAINER_
---@param o? table  the keys of a check
function application.environment(names, o)
  if type(names) ~= "table" or #names == 0 then error("application.environment: expected a list of names of settings", 2) end
  o = check.health_options("application.environment", o or {}, {})
  return check.health(o, {
    name = "environment",
    description = table.concat(names, ", ") .. " have values",
    requires = names,
    role = "monitor",
    check = function()
      for _, name in ipairs(names) do
        if settings.get(name) == nil then return "fail", name .. " has no value" end
      end
      return true
    end,
  })
end

return check.module("application", application)
