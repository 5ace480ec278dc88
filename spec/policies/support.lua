-- The settings module as policies see it, with given values.
local support = {}

--- Installs a global `settings` with these values; names without a value are known when listed in `known`.
function support.settings(values)
  _G.settings = {
    get = function(name) return values[name] end,
    has = function(name) return values[name] ~= nil end,
    declare = function(defs)
      local set = {}
      for name, def in pairs(defs) do set[name] = values[name] or def.default end
      return set
    end,
  }
end

--- Loads a module anew, so that it sees the present globals.
function support.load(name)
  package.loaded[name] = nil
  return require(name)
end

--- The message that fn raises, with where it points to.
function support.raised(fn, ...)
  local ok, message = pcall(fn, ...)
  assert(not ok, "it raised nothing")
  return tostring(message)
end

return support
