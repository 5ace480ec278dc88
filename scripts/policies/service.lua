-- Services on the network as dependencies.
--
--   local service = require "policies.service"
--   dependencies = { service.tcp { name = "cache", host = "redis", port = 6379, required = false } }
local check = require "policies.check"

local service = {}

local function dependency(o, kind, params, description)
  return check.dependency(o, { description = description, kind = kind, params = params })
end

--- A TCP port that accepts connections.
---@param o table  name, host, port; description, required, timeout, interval
function service.tcp(o)
  check.dependency_options("service.tcp", o, { name = "!text", host = "!text", port = "!port" })
  return dependency(o, "tcp", { host = o.host, port = o.port }, ("%s:%d accepts connections"):format(o.host, o.port))
end

--- The host and port of a URL accept connections.
---@param o table  name, url; description, required, timeout, interval
function service.url(o)
  check.dependency_options("service.url", o, { name = "!text", url = "!text" })
  local host, port = check.host_port(o.url)
  if not host then error(("service.url.url: expected a URL like http://host:8080/, but %s"):format(port), 2) end
  return dependency(o, "tcp", { host = host, port = port }, ("%s:%d accepts connections"):format(host, port))
end

local of_request = {
  url = "!text", method = "text", headers = "table", body = "text", status = "status", equals = "text", contains = "text",
  json = "table", ca_file = "text", cert_file = "text", key_file = "text", insecure = "boolean", proxy = "text", redirects = "number",
}

local http_options = { name = "!text" }
for key, spec in pairs(of_request) do http_options[key] = spec end

--- An HTTP or HTTPS server that gives a good answer; what its options mean is in the Lua API, probe.http.
---@param o table  name, url; method, headers, body, status, equals, contains, json, ca_file, cert_file, key_file, insecure, proxy,
---                redirects, description, required, timeout, interval
function service.http(o)
  check.dependency_options("service.http", o, http_options)
  local host, port = check.host_port(o.url)
  if not host then error(("service.http.url: expected a URL like http://host:8080/, but %s"):format(port), 2) end
  local params = {}
  for key in pairs(of_request) do params[key] = o[key] end
  return dependency(o, "http", params, ("%s:%d answers by HTTP"):format(host, port))
end

--- A host name that resolves.
---@param o table  name, host; description, required, timeout, interval
function service.name(o)
  check.dependency_options("service.name", o, { name = "!text", host = "!text" })
  return dependency(o, "dns", { host = o.host }, ("the name %s resolves"):format(o.host))
end

return check.module("service", service)
