#!/bin/sh
# Puts the shared objects that an installed tend and its parts need, beyond glibc, beside them, so that the tree runs
# wherever there is glibc. They go to PREFIX/lib/tend/lib, where the run path of a program that was built with
# `make BUNDLE=1` looks first, and their licences to PREFIX/share/doc/tend/licenses.
#   deploy/image/bundle.sh PREFIX
#   deploy/image/bundle.sh --glibc PREFIX ROOT     only copies glibc's own into ROOT, under the names they have here
set -eu

# The paths of all objects that are loaded, the loader too.
closure() { # PREFIX
  list=$(ldd "$1"/bin/tend "$1"/lib/tend/parts/*.so)
  if echo "$list" | grep 'not found' >&2; then exit 1; fi
  echo "$list" | awk '$2 == "=>" { print $3 } $1 ~ /^\// && $2 ~ /^\(/ { print $1 }' | sort -u
}

is_glibc() {
  case ${1##*/} in
    ld-linux*.so.* | ld64.so.* | lib[cm].so.6 | libmvec.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libresolv.so.* | libutil.so.* | libanl.so.*) return 0 ;;
  esac
  return 1
}

if [ "$1" = --glibc ]; then
  files=$(closure "$2")
  libc=$(echo "$files" | grep '/libc\.so\.6$')
  for file in $files "${libc%/*}/libm.so.6"; do # the last is loaded when a policy computes with it
    is_glibc "$file" || continue
    mkdir -p "$3${file%/*}"
    cp -L "$file" "$3$file"
  done
  exit
fi

prefix=$1
files=$(closure "$prefix")
lib=$prefix/lib/tend/lib licenses=$prefix/share/doc/tend/licenses
mkdir -p "$lib" "$licenses"
for file in $files; do
  case $file in "$prefix"/*) continue ;; esac
  is_glibc "$file" && continue
  install -m 644 "$file" "$lib/"
  package=$(dpkg-query -S "$(readlink -f "$file")" 2>/dev/null | head -n 1 | cut -d: -f1)
  [ ! -r "/usr/share/doc/$package/copyright" ] || install -m 644 "/usr/share/doc/$package/copyright" "$licenses/$package"
done
