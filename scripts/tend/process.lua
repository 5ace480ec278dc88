-- process: commands, and what the engine knows of the plan's processes.
local core = ...

local process = { run = core.run }

function process.list()
  local status, err = core.ask("status")
  return status and status.processes, err
end

function process.get(name)
  local list, err = process.list()
  if not list then
    return nil, err
  end
  for _, entry in ipairs(list) do
    if entry.name == name then
      return entry
    end
  end
  return core.fail("unknown", "the plan has no process \"" .. tostring(name) .. "\"")
end

-- For the modules that ask the engine for something else.
process.ask = core.ask

return process
