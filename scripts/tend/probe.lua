-- probe: one attempt at finding out whether something is there, awaited. What a kind takes is its own table of
-- parameters; a wrong one raises.
local core = ...

local probe = {}

function probe.run(kind, params)
  if type(params) ~= "table" then
    error(("probe.%s: expected a table of parameters, got %s"):format(tostring(kind), type(params)), 2)
  end
  local given, timeout = {}, 10
  for key, value in pairs(params) do
    if key == "timeout" then
      timeout = value
    else
      given[key] = value
    end
  end
  return core.start(kind, given, timeout)
end

for _, kind in ipairs { "tcp", "dns", "file", "directory", "command", "unix", "process", "resource", "postgres", "http" } do
  probe[kind] = function(params)
    return probe.run(kind, params)
  end
end

return probe
