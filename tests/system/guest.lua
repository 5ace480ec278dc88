-- A virtual machine with a kernel of its own, for what this one's kernel does not have: control groups version 2 with
-- memory, cpu and pids. It holds a shell (busybox) and tend; its first process is a shell that runs the given lines.
local h = require "harness"

local guest = {}

local function image(dir, script)
  local root = dir .. "/root"
  local closure = h.sh(("ldd %s | grep -o '/[^ ]*'"):format(h.quote(h.tend)))
  h.sh(("mkdir -p %s/bin %s/proc %s/sys %s/tmp %s/opt/bin %s/opt/share"):format(root, root, root, root, root, root))
  h.sh(("cp /bin/busybox %s/bin/busybox"):format(root))
  h.sh(("cp %s %s/opt/bin/tend"):format(h.quote(h.tend), root))
  h.sh(("mkdir -p %s/opt/share/tend && cp -r %s/scripts %s/flows %s/opt/share/tend/"):format(root, h.quote(h.top), h.quote(h.top), root))
  for file in closure:gmatch("[^\n]+") do h.sh(("install -D %s %s%s"):format(file, root, file)) end
  h.write(root .. "/init", ([[
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/opt/bin HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; mount -t cgroup2 cgroup /sys/fs/cgroup; mount -t devtmpfs dev /dev
echo +memory +cpu +pids > /sys/fs/cgroup/cgroup.subtree_control
echo BEGIN
(
%s
) </dev/null 2>&1
echo END
poweroff -f
]]):format(script))
  h.sh(("chmod 755 %s/init"):format(root))
  h.sh(("cd %s && find . | cpio -o -H newc --quiet | gzip -1 > %s/initrd"):format(root, dir))
  return dir .. "/initrd"
end

--- Runs shell lines as root in the guest; what they print. Skips the test where there is no qemu or no kernel.
function guest.run(script)
  for _, program in ipairs { "qemu-system-x86_64", "cpio" } do
    if select(2, h.sh("command -v " .. program)) ~= 0 then h.skip(program .. " is not there") end
  end
  if not h.exists("/bin/busybox") then h.skip("/bin/busybox is not there (Debian: busybox-static)") end
  local kernel, code = h.sh(("tests/system/guest-kernel.sh %s/%s/guest"):format(h.quote(h.top), h.build))
  if code ~= 0 then h.skip("no kernel for a guest: " .. kernel) end
  local dir = h.tempdir()
  local p = h.start {
    argv = {
      "/usr/bin/qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nodefaults",
      "-m", "384", "-no-reboot", "-kernel", kernel:match("[^\n]+"), "-initrd", image(dir, script),
      "-append", "console=ttyS0 quiet panic=-1 psi=1 rdinit=/init",
    },
  }
  local ended = p:wait(90 * h.slow)
  local out = p.out:gsub("\r", "")
  p:close()
  local said = out:match("BEGIN\n(.*)END\n")
  if ended ~= 0 or not said then error("the guest did not come to its end: " .. out:sub(-2000), 2) end
  return said
end

return guest
