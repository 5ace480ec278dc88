---@meta

---Names to addresses: the hosts file, then DNS.
---@class dns
dns = {}

---Error codes: "dns", "timeout".
---@async
---@param name string a name, or an address, which is given back
---@param options? { timeout?: number } 10 seconds when left out
---@return string[]? addresses in the order in which to try them, IPv4 and IPv6
---@return tend.error? err
function dns.resolve(name, options) end
