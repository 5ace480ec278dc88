-- hooks: functions at points of the lifecycle, added by calls; the same as entries of the flow's `hooks`.
local core = ...

local hooks = {}

local points = {
  on_start = true, on_running = true, on_exit = true, on_unhealthy = true, on_drain = true, on_stop = true, on_reload = true,
}
local keys = { run = "function", name = "string", timeout = true, before = true, after = true }

function hooks.add(point, given)
  if not points[point] then
    local names = {}
    for name in pairs(points) do
      names[#names + 1] = name
    end
    table.sort(names)
    error(('hooks.add: there is no point "%s", only %s'):format(tostring(point), table.concat(names, ", ")), 2)
  end
  if type(given) == "function" then
    given = { run = given }
  elseif type(given) ~= "table" then
    error("hooks.add: expected a function or a table { run = function }, got " .. type(given), 2)
  end
  local entry = { on = point }
  for key, value in pairs(given) do
    local expected = keys[key]
    if not expected then
      error(("hooks.add.%s: unknown key; there are run, name, timeout, before, after"):format(tostring(key)), 2)
    elseif expected ~= true and type(value) ~= expected then
      error(("hooks.add.%s: expected a %s, got %s"):format(key, expected, type(value)), 2)
    end
    entry[key] = value
  end
  if not entry.run then
    error("hooks.add.run: a function is missing", 2)
  end
  core.register("hooks", entry)
end

return hooks
