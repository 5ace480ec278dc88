-- An example of a probe in Lua: put it into probes/ of a scripts directory.
return {
  doc = "Redis answers PING.",
  params = {
    host = { type = "text", required = true, doc = "name or address" },
    port = { type = "integer", min = 1, max = 65535, default = 6379 },
  },
  check = function(p)
    local socket <close>, err = net.tcp { host = p.host, port = p.port, timeout = 2 }
    if not socket then
      return nil, err
    end
    local sent, failed = socket:send "PING\r\n"
    if not sent then
      return nil, failed
    end
    local line, why = socket:receive "line"
    if not line then
      return nil, why
    end
    return line == "+PONG" or "fail", line
  end,
}
