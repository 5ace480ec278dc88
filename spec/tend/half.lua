-- Loads a Lua half from scripts/tend with a C half made of plain functions, and the globals it takes.
return function(name, core, globals)
  local environment = setmetatable(globals or {}, { __index = _G })
  return assert(loadfile("scripts/tend/" .. name .. ".lua", "t", environment))(core)
end
