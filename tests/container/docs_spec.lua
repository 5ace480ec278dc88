-- Every command of docs/docker.md, typed in its order; podman plays docker.
local box = require "box"
local h = require "harness"
local pages = require "pages"

local PAGE = "docs/docker.md"

-- What is not typed here, and which test does it instead.
local ELSEWHERE = {
  ["docker compose "] = "tests/container/compose_spec.lua",
  -- from the same Dockerfile, by the same script
  ["make image"] = "tests/container/images.sh", ["docker build -t tend "] = "tests/container/images.sh",
  ["docker build --target "] = "tests/container/images.sh",
}

local function elsewhere(text)
  for prefix, file in pairs(ELSEWHERE) do
    if text:sub(1, #prefix) == prefix then
      assert.is_true(h.exists(file))
      return true
    end
  end
  return false
end

-- The last chapter of a page: only its commands for docker, and what is typed beside them.
describe("docs/tutorial.md", function()
  it("ends in a container that does what it says", function()
    local path, dir = "docs/tutorial.md", box.get().dir .. "/tutorial"
    h.sh("mkdir -p " .. dir .. "/flows")
    local function flow_of(block) return block.file and block.file:find "^flows/[^/]+$" end
    local begun = false
    for _, block in ipairs(pages.blocks(path)) do
      if flow_of(block) then h.write(dir .. "/" .. block.file, block.text) end
      if block.kind == "sh" and block.text:find("docker run", 1, true) then begun = true end
      for _, command in ipairs(begun and block.kind == "sh" and pages.commands(block) or {}) do
        if command.text ~= "make image" then
          local out, code
          h.wait_for(function()
            out, code = box.sh(command.text, { cwd = dir })
            local ask = command.text:find "^docker exec"
            return not ask or code == 0 and (not command.shape or pages.same_shape(command.shape, out))
          end, 30, command.text)
          assert.equal(0, code, command.text .. "\n" .. out)
        end
      end
    end
    assert.is_true(begun)
  end)
end)

describe("docs/docker.md", function()
  it("tells what works", function()
    local dir = box.get().dir .. "/checkout"
    local out, code = h.sh(("mkdir %s && cp -a Dockerfile .dockerignore .ci Makefile README.md deploy docs engine flows include scripts %s/"):format(dir, dir))
    assert.equal(0, code, out)
    h.write(dir .. "/db", "postgresql://u:p@db/rpa")
    local typed = 0
    for _, block in ipairs(pages.blocks(PAGE)) do
      if block.file then
        h.sh(("mkdir -p %s/%s"):format(dir, block.file:match "^[^/]+"))
        h.write(dir .. "/" .. block.file, block.text)
      elseif block.kind == "sh" then
        for _, command in ipairs(pages.commands(block)) do
          if not elsewhere(command.text) then
            typed = typed + 1
            out, code = box.sh(command.text, { cwd = dir, deadline = 120 })
            assert.equal(0, code, command.text .. "\n" .. out)
            local name = command.text:match "^docker run %-d %-%-name (%S+)"
            if name then
              h.wait_for(function() return box.sh("docker logs " .. name):find("startup_completed", 1, true) end, 20, command.text)
            end
            if command.text == "docker run --rm my-image" then assert.truthy(out:find("\nworking\n", 1, true), out) end
            if command.text:find "^docker run .* small " then assert.truthy(out:find("a job without a shell", 1, true), out) end
            if command.text:find "inspect" then assert.truthy(out:find "%l+", out) end
          end
        end
      end
    end
    assert.is_true(typed > 12)
  end)

  it("shows a pod that runs", function()
    local kube = h.read(PAGE):match "```yaml\n(.-)```"
    local path = box.get().dir .. "/pod.yaml"
    local text = "apiVersion: v1\nkind: Pod\nmetadata: { name: docs }\n" .. kube:gsub("rpa1", "demo"):gsub("image: tend", "image: localhost/tend:latest")
    -- kubelet's probes are not played by podman
    text = text:gsub("\n      %l+Probe: [^\n]*", ""):gsub(", seccompProfile: {.-}", "")
    -- what a cluster would give: the secret is a folder here, the claims are empty
    local secret = h.tempdir()
    h.write(secret .. "/dsn", "postgresql://app@db.example/app")
    text = text:gsub("secret: %b{}", "hostPath: { path: " .. secret .. " }"):gsub("persistentVolumeClaim: %b{}", "emptyDir: {}")
    h.write(path, text)
    local out, code = box.sh("podman play kube --network none " .. path)
    assert.equal(0, code, out)
    h.wait_for(function() return box.sh "docker logs docs-demo":find("startup_completed", 1, true) end, 20, "the pod")
    out, code = box.sh "docker exec docs-demo tend health"
    assert.equal(0, code, out)
    out, code = box.sh("podman play kube --down " .. path)
    assert.equal(0, code, out)
  end)

  it("tells the images' sizes", function()
    local function size(image)
      local code, out = box.podman { "inspect", "--format", "{{.Size}}", image }
      assert.equal(0, code)
      return tonumber(out) / 1e6
    end
    local function compressed(image)
      return tonumber((box.sh(("podman save %s 2>/dev/null | gzip -6 | wc -c"):format(image)))) / 1e6
    end
    local page = h.read(PAGE)
    local added, added_compressed = page:match "| `tend` |[^|]*| (%d+) MB on top[^|]*| ([%d.]+) MB on top"
    local small, small_compressed = page:match "| `tend:distroless` |[^|]*| (%d+) MB | ([%d.]+) MB"
    local below, below_compressed = page:match "below (%d+) MB and (%d+) MB"
    local function near(told, real)
      assert.is_true(math.abs(tonumber(told) - real) <= 2, told .. " MB, really " .. real)
    end
    near(added, size "tend:latest" - size "debian:bookworm-slim")
    near(small, size "tend:distroless")
    local _, code = box.sh [[docker create --name sized tend:latest >/dev/null && docker cp sized:/opt/tend "$TMPDIR/sized" && docker rm sized >/dev/null]]
    assert.equal(0, code)
    near(added_compressed, tonumber((box.sh [[tar -C "$TMPDIR/sized" -c . | gzip -6 | wc -c]])) / 1e6)
    near(small_compressed, compressed "tend:distroless")
    assert.is_true(size "tend:distroless" < tonumber(below) and compressed "tend:distroless" < tonumber(below_compressed))
  end)

  it("names a glibc that is new enough for all that is copied", function()
    local told = h.read(PAGE):match "glibc (%d+%.%d+) or newer"
    local out, code = box.sh [[docker create --name tree tend:latest >/dev/null && docker cp tree:/opt/tend "$TMPDIR/tree" && docker rm tree >/dev/null &&
      objdump -T $(find "$TMPDIR/tree" -name '*.so*' -type f) "$TMPDIR/tree/bin/tend" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1]]
    assert.equal(0, code, out)
    assert.equal("GLIBC_" .. told, out:match "(%S+)\n$")
  end)
end)

describe("the tree in another image", function()
  it("works for any user with nothing to write to, beside what is installed there", function()
    local dir = h.tempdir()
    h.write(dir .. "/Dockerfile", "FROM python:3.11-slim\nCOPY --from=tend /opt/tend /srv/elsewhere\nENTRYPOINT [\"/srv/elsewhere/bin/tend\"]\n")
    local out, code = box.sh(("docker build -t elsewhere %s"):format(dir))
    assert.equal(0, code, out)
    local c = box.run {
      image = "elsewhere", options = { "--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--user", "12345:12345" },
      args = { "run", "--", "python3", "-c", [[
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("python is up", flush=True)
time.sleep(1000)]] },
      env = { LD_LIBRARY_PATH = "/no/such" },
    }
    c:wait_line "python is up"
    assert.equal(0, (c:exec("/srv/elsewhere/bin/tend", "health")))
    c:stop(30)
    assert.equal(0, c:wait())
    -- the flows that came along are found, and the parts load
    c = box.run {
      image = "elsewhere", args = { "run", "--flow-name", "rpa2" }, options = { "--network", "host" },
      env = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:p@127.0.0.1:1/d",         CONTAINER_HTTP_ADDRESS = "off" },
    }
    assert.equal("refused", c:wait_event("dependency_waiting").details.reason)
    c:kill "TERM"
  end)
end)
