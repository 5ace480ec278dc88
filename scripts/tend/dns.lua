-- dns: names to addresses.
local core = ...

local dns = {}

function dns.resolve(name, options)
  if type(name) ~= "string" or name == "" then
    error("dns.resolve: expected a name, got " .. type(name), 2)
  end
  if options ~= nil and type(options) ~= "table" then
    error("dns.resolve: expected a table of options, got " .. type(options), 2)
  end
  for key in pairs(options or {}) do
    if key ~= "timeout" then
      error(("dns.resolve.%s: unknown option"):format(tostring(key)), 2)
    end
  end
  return core.resolve(name, options and options.timeout or 10)
end

return dns
