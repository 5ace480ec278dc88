-- Directories: as dependencies, as checks, and what to do with them at the end.
--
--   local directory = require "policies.directory"
--   dependencies = { directory.readable { path = set.INPUT_DIR, timeout = 5 } }
--   cleanup      = { directory.sync(set.OUTPUT_DIR), directory.remove_temporary { path = set.OUTPUT_DIR } }
local check = require "policies.check"

local directory = {}

local function dependency(o, kind, writable)
  return check.dependency(o, {
    name = kind .. "_" .. check.slug(o.path),
    description = ("directory %s is %s"):format(o.path, kind),
    kind = "directory",
    params = { path = o.path, readable = true, writable = writable },
  })
end

--- A directory that must be there and readable. It is never made.
---@param o table  path; name, description, required, timeout, interval
function directory.readable(o)
  o = check.dependency_options("directory.readable", o, { path = "!text" })
  return dependency(o, "readable")
end

--- A directory that must be there, readable and writable.
---@param o table  as for directory.readable
function directory.writable(o)
  o = check.dependency_options("directory.writable", o, { path = "!text" })
  return dependency(o, "writable", true)
end

local function handler(name, kind, params, o)
  return {
    name = o.name or (name .. "_" .. check.slug(params.path)),
    description = o.description,
    kind = kind,
    params = params,
    timeout = o.timeout,
    critical = o.critical,
  }
end

-- A path alone, or a table with options.
local function with_path(who, o, known)
  if type(o) == "string" then o = { path = o } end
  for key, spec in pairs { name = "text", description = "text", path = "!text", timeout = "seconds", critical = "boolean" } do
    known[key] = spec
  end
  if type(o) ~= "table" then
    error(("%s: expected a path or a table of options, got %s"):format(who, type(o) == "nil" and "nothing" or "a " .. type(o)), 3)
  end
  return o, known
end

--- Writes what is in memory of a directory's files to the disk.
---@param o string|table  path; name, description, timeout, critical
function directory.sync(o)
  local given, known = with_path("directory.sync", o, {})
  given = check.options("directory.sync", given, known)
  given.description = given.description or ("%s is on the disk"):format(given.path)
  return handler("sync", "sync", { path = given.path }, given)
end

--- Removes temporary files below a directory: *.tmp, or what the patterns name.
---@param o string|table  path; pattern, older_than_s, max_files, max_mb, empty_dirs, dry_run, name, description, timeout, critical
function directory.remove_temporary(o)
  local given, known = with_path("directory.remove_temporary", o, {
    pattern = "patterns", older_than_s = "number", max_files = "number", max_mb = "number", empty_dirs = "boolean",
    dry_run = "boolean",
  })
  given = check.options("directory.remove_temporary", given, known)
  given.description = given.description or ("temporary files in %s are removed"):format(given.path)
  return handler("remove_temporary", "remove_temporary", {
    path = given.path, pattern = given.pattern, older_than_s = given.older_than_s, max_files = given.max_files,
    max_mb = given.max_mb, empty_dirs = given.empty_dirs, dry_run = given.dry_run,
  }, given)
end

--- Waits until no process holds a file below a directory open any more; fails where one still does.
---@param o string|table  path; wait_s (5), name, description, timeout, critical
function directory.close_files(o)
  local given, known = with_path("directory.close_files", o, { wait_s = "number" })
  given = check.options("directory.close_files", given, known)
  given.description = given.description or ("no file in %s is open any more"):format(given.path)
  return handler("close_files", "close_files", { path = given.path, wait_s = given.wait_s }, given)
end

--- Rotates the logs right in a directory: *.log of 10 MB or more, 5 old ones are kept.
---@param o string|table  path; pattern, max_mb, keep, max_age_s, name, description, timeout, critical
function directory.rotate_logs(o)
  local given, known = with_path("directory.rotate_logs", o, {
    pattern = "patterns", max_mb = "number", keep = "number", max_age_s = "number",
  })
  given = check.options("directory.rotate_logs", given, known)
  given.description = given.description or ("logs in %s are rotated"):format(given.path)
  return handler("rotate_logs", "rotate_logs", {
    path = given.path, pattern = given.pattern, max_mb = given.max_mb, keep = given.keep, max_age_s = given.max_age_s,
  }, given)
end

return check.module("directory", directory)
