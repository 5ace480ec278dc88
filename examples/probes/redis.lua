-- Redis answers PING.
return {
  doc = "Redis answers PING.",
  params = {
    host = { type = "text", required = true, doc = "name or address" },
    port = { type = "integer", min = 1, max = 65535, default = 6379 },
    slow = { type = "duration", default = "100ms" },
  },
  check = function(p)
    local s <close>, err = net.tcp { host = p.host, port = p.port, timeout = 2 }
    if not s then return nil, err end
    s:send "PING\r\n"
    local line, e = s:receive "line"
    if not line then return nil, e end
    return line == "+PONG" or "fail", line
  end,
}
