-- xpcall, which is easier written in Lua.
local pcall, pack, unpack = pcall, table.pack, table.unpack

-- The handler runs after the stack was unwound, so that a handler that loops is ended like anything else.
return function(fn, handler, ...)
  local results = pack(pcall(fn, ...))
  if results[1] then
    return unpack(results, 1, results.n)
  end
  return false, handler(results[2])
end
