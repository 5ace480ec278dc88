#!/bin/sh
# Builds the images tend (also tend:VERSION) and tend:distroless from the checkout, with the first of docker, podman and buildah
# that is there, or with BUILDER. More options for the builder: deploy/image/build.sh --build-arg BASE=ubuntu:24.04 ...
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^#define TEND_VERSION "\(.*\)"/\1/p' include/tend/version.h)
revision=$(git rev-parse --verify -q HEAD 2>/dev/null || echo unknown)

builder=${BUILDER:-}
if [ -z "$builder" ] && docker info >/dev/null 2>&1; then builder=docker; fi
for candidate in podman buildah; do
  if [ -z "$builder" ] && command -v $candidate >/dev/null; then builder=$candidate; fi
done

# The format of OCI has no HEALTHCHECK.
case $builder in
  docker) build="docker build" ;;
  podman) build="podman build --format docker" ;;
  buildah) build="buildah bud --format docker --layers" ;;
  *) echo "make image: docker, podman or buildah is needed" >&2; exit 69 ;;
esac
export DOCKER_BUILDKIT=1

image() { # TARGET, then tags
  target=$1 tags=""
  shift
  while [ "$1" != -- ]; do tags="$tags --tag $1" && shift; done
  shift
  # shellcheck disable=SC2086 # lists of words
  $build --target "$target" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" $tags "$@" .
}
image distroless tend:distroless -- "$@"
image tend tend:latest "tend:$version" -- "$@"
