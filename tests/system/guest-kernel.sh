#!/bin/sh
# Prints the path of a Linux kernel that qemu can start, with control groups version 2: Debian's cloud kernel, taken out of
# its package and kept in FOLDER. Ends with 1 and a reason where it is not to be had.
set -eu
folder=$1
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ ! -s "$folder/vmlinuz" ]; then
  command -v apt-get >/dev/null || { echo "no apt-get to bring a kernel"; exit 1; }
  name=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$name" ] || { echo "no package linux-image-cloud-amd64"; exit 1; }
  cd "$folder"
  apt-get download -q "$name" >download.log 2>&1 || { echo "the kernel's package cannot be downloaded"; exit 1; }
  dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './boot/vmlinuz*'
  rm -f ./*.deb
  mv boot/vmlinuz* vmlinuz
fi
echo "$folder/vmlinuz"
