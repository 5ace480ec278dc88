-- A web server for a test (web.py), over TLS with certificates of a CA made here; ended with the test.
--
--   local web = require "web"
--   local s = web.start()  web.start { tls = "good" }  web.start { tls = "good", clients = true }
--   s:url "/status/200"  s:requests()
--   web.file "ca.crt"      "good", "expired", "other" (another name), "self" and "client": NAME.crt and NAME.key
local cjson = require "cjson"
local h = require "harness"

local web = {}
local Server = {}
Server.__index = Server

--- nil where it can be started; else why not.
function web.missing()
  local _, code = h.sh "p=$(command -v /usr/bin/python3 || command -v python3) && $p -c 'import ssl' && command -v openssl"
  if code ~= 0 then return "python3 with ssl, or openssl, is not installed" end
  return nil
end

local folder

-- One folder for each test program; it goes with it.
local function certificates()
  if folder and h.exists(folder .. "/self.key") then return folder end
  folder = h.tempdir()
  local out, code = h.sh(([[
    set -e; cd %s
    key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
    issue() { # NAME SUBJECT_NAME DAYS_FROM DAYS_TO
      key $1
      openssl req -new -key $1.key -subj /CN=$2 -out $1.csr
      printf 'subjectAltName=DNS:%%s,IP:127.0.0.1\n' $2 >$1.ext
      [ $1 != other ] || printf 'subjectAltName=DNS:%%s\n' $2 >$1.ext
      openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -set_serial 0x$(openssl rand -hex 8) -days $3 -extfile $1.ext -out $1.crt
    }
    key ca; openssl req -new -x509 -key ca.key -subj '/CN=The tests CA' -days 30 -out ca.crt
    key self; openssl req -new -x509 -key self.key -subj /CN=localhost -days 30 -addext subjectAltName=DNS:localhost -out self.crt
    issue good localhost 30; issue other elsewhere.test 30; issue client someone 30
    openssl x509 -req -in good.csr -CA ca.crt -CAkey ca.key -set_serial 7 -days -1 -extfile good.ext -out expired.crt
    cp good.key expired.key; chmod a+r *; chmod 755 .
  ]]):format(h.quote(folder)))
  assert(code == 0, out)
  return folder
end

function web.file(name) return certificates() .. "/" .. name end

--- { tls = name of the certificate, clients = true: only those with a certificate of the CA, v6 = true }
function web.start(o)
  o = o or {}
  local argv = { (h.sh "command -v /usr/bin/python3 || command -v python3"):match "%S+", h.top .. "/tests/system/web.py" }
  if o.tls then
    for _, word in ipairs { "--tls", web.file(o.tls .. ".crt"), web.file(o.tls .. ".key") } do argv[#argv + 1] = word end
    if o.clients then argv[#argv + 1] = web.file "ca.crt" end
  elseif o.v6 then
    argv[#argv + 1] = "--v6"
  end
  local p = assert(h.start { argv = argv, cwd = "/" })
  local port = tonumber(p:wait_line("^%d+$", 30, "out"))
  return setmetatable({ process = p, port = port, scheme = o.tls and "https" or "http", host = o.v6 and "[::1]" or "127.0.0.1" }, Server)
end

function Server:url(path, host)
  return ("%s://%s:%d%s"):format(self.scheme, host or self.host, self.port, path or "/")
end

--- What it was asked for so far: { method, target, headers, body, connection }.
function Server:requests()
  local list = {}
  for line in self.process.out:gmatch "[^\n]+" do
    if line:sub(1, 1) == "{" then list[#list + 1] = cjson.decode(line) end
  end
  return list
end

--- One request, for what it does to the server.
function Server:tell(path)
  local build = h.quote(h.top .. "/" .. h.build)
  local out, code = h.sh(("TEND_TEST_PARTS=%s/parts %s/tests/probe http '{\"url\": \"%s\"}' 10000"):format(build, build, self:url(path)))
  assert(code == 0, out)
end

function Server:stop() self.process:close() end

return web
