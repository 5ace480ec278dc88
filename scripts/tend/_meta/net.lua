---@meta

---Sockets of clients, waiting without blocking. `timeout` is the time limit of the connecting and, where a call gives none, of
---each call on the socket; 10 s when left out. One task at a time may wait on a socket.
---
---There is no TLS here: HTTPS is `http`, PostgreSQL over TLS is `postgres`; for anything else put a TLS proxy beside the workload.
---There are no listening sockets either.
---
---Error codes: "dns", "refused", "unreachable", "permission", "timeout", "closed", "busy" (the queue of a Unix socket is full),
---"memory".
---@class net
net = {}

---`local s <close> = assert(net.tcp { … })` closes itself. After a failed send the socket is closed.
---@class tend.socket
local socket = {}

---Sends all of it; to UDP as one datagram.
---@async
---@param data string
---@param timeout? number seconds; the socket's when left out
---@return true?
---@return tend.error? err any; the socket is closed then, for nobody knows how much was sent
function socket:send(data, timeout) end

---Gives what there is, at least one byte; with a number so many bytes; with "line" a line without its end (\n or \r\n); with
---"all" everything until the other side closes. Of UDP always one datagram. At the end: nil and an error "closed"; what had come
---until then is given by a call without `what`. At most 16 MiB wait to be taken.
---@async
---@param what? integer|"line"|"all"
---@param timeout? number seconds; the socket's when left out
---@return string?
---@return tend.error? err "timeout": what has come so far stays for the next call
function socket:receive(what, timeout) end

---Ends the connection at once. More than once does nothing; what is let go of is closed by the collector at some time.
function socket:close() end

---Tries the addresses of the name one after the other.
---@async
---@param options { host: string, port: integer, timeout?: number }
---@return tend.socket?
---@return tend.error? err
function net.tcp(options) end

---A socket that sends to that address and receives from it alone.
---@async
---@param options { host: string, port: integer, timeout?: number }
---@return tend.socket?
---@return tend.error? err
function net.udp(options) end

---Connects to a Unix socket (a stream).
---@async
---@param options { path: string, timeout?: number }
---@return tend.socket?
---@return tend.error? err
function net.unix(options) end
