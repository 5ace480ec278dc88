-- What the images are: their settings, what is in them, how big they are; distroless; the tree in another image.
local box = require "box"
local h = require "harness"
local cjson = require "cjson"
local web = require "web"

local SCRIPTS = h.top .. "/tests/container/scripts:/flow:ro"

local function said(pattern)
  return function(event) return event.message:find(pattern) end
end

-- The shared objects that the container's processes have loaded.
local function objects(c)
  return coroutine.wrap(function()
    local seen = {}
    for _, pid in ipairs(h.Process.children(c)) do
      for path in (h.read("/proc/" .. pid .. "/maps") or ""):gmatch(" (/%S+%.so[%.%d]*)\n") do
        if not seen[path] then coroutine.yield(path) end
        seen[path] = true
      end
    end
  end)
end

local function inspect(image)
  local code, out, err = box.podman { "inspect", image }
  assert.equal(0, code, err)
  return cjson.decode(out)[1]
end

for _, image in ipairs { "tend:latest", "tend:distroless" } do
  describe("the image " .. image, function()
    it("has entry point, user, stop signal, health check, labels", function()
      local config = inspect(image)
      assert.same({ "/opt/tend/bin/tend" }, config.Config.Entrypoint)
      assert.same({ "run" }, config.Config.Cmd)
      assert.equal("10001:10001", config.User)
      assert.equal("SIGTERM", config.Config.StopSignal)
      assert.same({ "CMD", "/opt/tend/bin/tend", "health" }, config.Healthcheck.Test)
      assert.is_true(config.Healthcheck.StartPeriod > 120e9) -- as long as a dependency is waited for
      assert.truthy(config.Config.ExposedPorts["9464/tcp"])
      local env = {}
      for _, pair in ipairs(config.Config.Env) do env[pair:match("^[^=]+")] = pair:match("=(.*)") end
      assert.equal("stdout", env.CONTAINER_LOG_STREAM)
      assert.truthy((":" .. env.PATH .. ":"):find(":/opt/tend/bin:", 1, true))
      local code, out = box.podman { "run", "--rm", "--network", "none", image, "version" }
      assert.equal(0, code)
      assert.equal("tend " .. config.Labels["org.opencontainers.image.version"] .. "\n", out)
      assert.equal("tend", config.Labels["org.opencontainers.image.title"])
      assert.truthy(config.Labels["org.opencontainers.image.revision"])
    end)

    it("loads its libraries from its own folder, glibc apart, and knows the CAs", function()
      local server = web.start { tls = "self" }
      local c = box.run {
        image = image, args = { "script", "/flow/parts.lua", server:url "/status/200" }, options = { "--network", "host", "-v", SCRIPTS },
      }
      c:wait_event("message", { where = said "^postgres: refused" })
      local answer = c:wait_event("message", { where = said "^http: " }).message
      assert.truthy(answer:find("^http: tls: ") and answer:find("self.signed"), answer)
      local own, other = 0, {}
      for path in objects(c) do
        if path:find("^/opt/tend/lib/") then own = own + 1 else other[#other + 1] = path:match("[^/]+$"):match("^%l+") end
      end
      assert.is_true(own > 20, own)
      for _, name in ipairs(other) do assert.truthy(("ld libc libm libresolv"):find(name, 1, true), name) end
      c:kill("TERM")
    end)
  end)
end

describe("the version in the Dockerfile", function()
  it("is tend's", function()
    local version = h.read("include/tend/version.h"):match('"(.-)"')
    for found in h.read("Dockerfile"):gmatch("ARG VERSION=(%S+)") do assert.equal(version, found) end
  end)
end)

describe("the default image", function()
  it("has a shell, the flows, and nothing that gives rights away", function()
    local code, out = box.podman { "run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "find", "tend:latest", "/opt/tend", "/app",
      "(", "-perm", "/6000", "-o", "-perm", "-o+w", ")", "-not", "-type", "l" }
    assert.equal(0, code)
    assert.equal("", out)
    code, out = box.podman { "run", "--rm", "--network", "none", "--entrypoint", "find", "tend:latest", "/opt/tend", "-not", "-user", "0" }
    assert.equal(0, code)
    assert.equal("", out)
    code, out = box.podman { "run", "--rm", "--network", "none", "--env", "CONTAINER_ENVIRONMENT=test", "tend:latest", "check", "--flow-name", "demo" }
    assert.equal(0, code, out)
  end)
end)

describe("the distroless image", function()
  it("has tend, glibc, certificates, names, and no shell", function()
    local dir = box.get().dir
    local out, code = box.sh(("docker create --name distroless tend:distroless && docker export -o %s/fs.tar distroless && docker rm distroless && tar -tf %s/fs.tar")
      :format(dir, dir))
    assert.equal(0, code, out)
    local seen = {}
    for path in out:gmatch("[^\n]+") do
      local top = path:match("^([^/]+/?[^/]*)")
      if path:find("[^/]$") then
        seen[path] = true
        local known = path:find("^opt/tend/") or path:find("^lib%w*/.*%.so[%.%d]*$") or path:find("^etc/") or path:find("^[^/]+$")
          or path:find("^dev/") or path:find("^proc/") or path:find("^run/") or path:find("^sys/")
          or path:find("^lib/terminfo/") -- of the prompt
        assert.truthy(known, "unexpected: " .. path .. " " .. top)
      end
    end
    for _, path in ipairs { "opt/tend/bin/tend", "etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt",
      "opt/tend/lib/tend/parts/postgres.so", "opt/tend/lib/tend/tend-guard", "opt/tend/lib/tend/tend-helper", "opt/tend/share/doc/tend/licenses/libpq5" } do
      assert.is_true(seen[path], path)
    end
    assert.is_nil(seen["bin/sh"])
    assert.equal("10001:10001:rwxrwxr-x", (box.sh(("tar --numeric-owner -tvf %s/fs.tar app/logs/"):format(dir)):gsub(
      "^d(%S+) (%d+)/(%d+).*", function(mode, uid) return uid .. ":10001:" .. mode end):gsub("\n", "")))
  end)

  it("runs flows and scripts as another user, with nothing to write to, and stops", function()
    local c = box.run {
      image = "tend:distroless", options = { "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "12345:0",
        "-v", SCRIPTS },
      args = { "run", "--", "tend", "script", "/flow/loop.lua" },
    }
    c:wait_event("message", { where = said "^round 2$" })
    assert.equal(0, (box.podman { "healthcheck", "run", c.name }))
    assert.equal(0, (c:exec("tend", "status")))
    c:stop(30)
    assert.equal(0, c:wait())
    c:wait_event("message", { where = said "^the loop ends$" })
  end)

  it("says plainly that a shell is not there", function()
    local code, out = box.run_to_end { image = "tend:distroless", args = { "run", "--flow-name", "demo" }, env = { CONTAINER_RESTART_POLICY = "no" } }
    assert.equal(127, code)
    assert.truthy(out:find("/bin/sh", 1, true), out)
  end)
end)
