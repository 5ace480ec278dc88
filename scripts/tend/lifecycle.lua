-- lifecycle: the flow's own checks and handlers, and the numbers of the container's life.
local core = ...
local process, fs, json = process, fs, json

local lifecycle = {}

local counts = {}

-- Copies what was given under the names that the plan knows; old names of the same thing are taken too.
local function entry(who, given, names, main, noun)
  if type(given) == "function" then
    given = { [main] = given }
  elseif type(given) ~= "table" then
    error(who .. ": expected a function or a table, got " .. type(given), 3)
  end
  local out = {}
  for key, value in pairs(given) do
    local name = names[key] or key
    if out[name] ~= nil then
      error(who .. ": " .. key .. " is given twice, under two names", 3)
    end
    out[name] = value
  end
  if type(out[main]) ~= "function" and out.kind == nil then
    error(who .. ": a function is missing: " .. main .. " = function() … end", 3)
  end
  counts[noun] = (counts[noun] or 0) + 1
  out.name = out.name or ("%s_%d"):format(noun, counts[noun])
  return out
end

function lifecycle.add_dependency_check(given)
  local names = { check_function = "check", fn = "check", timeout_seconds = "timeout" }
  core.register("dependencies", entry("lifecycle.add_dependency_check", given, names, "check",
    "added_dependency"))
end

function lifecycle.add_cleanup_handler(given)
  local names = { handler = "run", fn = "run", timeout_seconds = "timeout" }
  core.register("cleanup", entry("lifecycle.add_cleanup_handler", given, names, "run", "added_handler"))
end

function lifecycle.get_lifecycle_metrics()
  return process.ask("metrics")
end

function lifecycle.status()
  return process.ask("status")
end

function lifecycle.export_lifecycle_report(path)
  local report, err = process.ask("report")
  if not report or not path then
    return report, err
  end
  local written
  written, err = fs.write_atomic(path, json.encode(report) .. "\n")
  if not written then
    return nil, err
  end
  return report
end

return lifecycle
