#!/bin/bash
# Makes the images that the tests of tests/container run, once for each state of the sources, in $BUILD/container:
#   debian:bookworm-slim    a Debian from its archive, as no registry of images is asked
#   python:3.11-slim        the same with Python, to be extended
#   tend, tend:distroless   from the Dockerfile, by deploy/image/build.sh
# Ends with 0 and says nothing when they are there; says "missing: REASON" where this machine cannot; ends with 1 where the build fails.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$PWD/${BUILD:-build}/container
log=$dir/log

missing() { echo "missing: $1"; exit 0; }
failed() { tail -n 40 "$log" >&2; echo "$1; all of it is in $log" >&2; exit 1; }

[ "$(id -u)" = 0 ] || missing "not root"
for tool in podman buildah runc mmdebstrap unshare nsenter; do
  command -v $tool >/dev/null || missing "$tool is not there (see .ci/deps container)"
done
unshare -m true 2>/dev/null || missing "no mount namespaces here"

mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
key=$(find Dockerfile .dockerignore .ci/deps Makefile deploy/image deploy/completion docs/tend.1 engine docs/examples flows include scripts tests/container/images.sh -type f -print0 |
  sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
[ "$(cat "$dir/ready" 2>/dev/null)" != "$key" ] || exit 0
: >"$log"

# --- where podman and buildah work, apart from what the machine has -----------------------------------------------------

find /tmp "$dir" -maxdepth 1 \( -name 'tend-images.*' -o -name 'run.*' -path "$dir/*" \) -mmin +60 -exec rm -rf --one-file-system {} + # of a run that was killed
driver=vfs
probe=$(mktemp -d "$dir/probe.XXXXXX")
mkdir "$probe"/{lower,upper,work,merged}
if unshare -m --propagation private mount -t overlay overlay -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work" "$probe/merged" 2>/dev/null; then
  driver=overlay
fi
rm -rf "$probe"
[ "$(cat "$dir/driver" 2>/dev/null)" = $driver ] || rm -rf "$dir/images"
echo $driver >"$dir/driver"

run=$(mktemp -d /tmp/tend-images.XXXXXX) # podman wants a short path
trap 'exit 1' INT TERM
trap 'rm -rf --one-file-system "$run"; rmdir /sys/fs/cgroup{/*,}/libpod_parent{/conmon,} 2>/dev/null' EXIT
cat >"$run/storage.conf" <<C
[storage]
driver = "$driver"
graphroot = "$dir/images"
runroot = "$run/root"
C
sed "s|@DIR@|$run|g" tests/container/containers.conf >"$run/containers.conf"
export CONTAINERS_STORAGE_CONF=$run/storage.conf CONTAINERS_CONF=$run/containers.conf BUILDAH_ISOLATION=chroot TMPDIR=$run BUILDER=buildah
inside() { unshare -m --propagation private "$@" </dev/null >>"$log" 2>&1 9>&-; } # its mounts end with it

# --- the images -----------------------------------------------------------------------------------------------------

options=(--variant=minbase --include=ca-certificates)
for o in path-exclude=/usr/share/{doc,man,locale,info}/'*' path-include=/usr/share/doc/'*'/copyright; do options+=(--dpkgopt="$o"); done
base=$dir/base-$(date +%Y%m)-$(printf '%s\n' "${options[@]}" | cksum | cut -d' ' -f1).tar # each month a new one
if [ ! -e "$base" ]; then
  rm -f "$dir"/base-*.tar
  mmdebstrap --format=tar "${options[@]}" bookworm "$base.new" >>"$log" 2>&1 </dev/null ||
    missing "no base image: $(tail -n 1 "$log")"
  mv "$base.new" "$base"
  rm -rf "$dir/images"
fi
image() { inside buildah inspect --type image "$1"; }
if ! image debian:bookworm-slim; then
  inside podman import "$base" docker.io/library/debian:bookworm-slim || failed "the base image cannot be imported"
fi
inside podman run --rm --network none debian:bookworm-slim true || missing "podman cannot run a container here: $(tail -n 1 "$log")"

if ! image python:3.11-slim; then
  # shellcheck disable=SC2016
  echo 'FROM debian:bookworm-slim
RUN apt-get update -q && apt-get install -y -q --no-install-recommends python3-minimal && rm -rf /var/lib/apt/lists/*' >"$run/Dockerfile"
  inside buildah bud --format docker --tag docker.io/library/python:3.11-slim "$run" || failed "the Python image cannot be built"
fi
inside deploy/image/build.sh || failed "the images cannot be built"
# Keep the stage with the compiler, not what was compiled before.
inside buildah bud --format docker --layers --target deps --tag tend-deps . || failed "the stage deps cannot be built"
inside podman image prune -f
echo "$key" >"$dir/ready"
