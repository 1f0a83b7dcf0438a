#!/bin/sh
# Builds the image of the test KDC when it is not there yet, and prints its name (everything else goes to stderr).
#
#   BASE     the image to build on   [debian:bookworm-slim; where it cannot be pulled, one made with debootstrap]
#
# The name carries a checksum of the recipe, so an image is never older than the files in this directory.
set -eu
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")"
suite=bookworm
own_base=zephyr-test/debian:$suite-slim
image=zephyr-test/kdc:$(cat Dockerfile entrypoint.sh krb5.conf.in kdc.conf.in | cksum | cut -d ' ' -f 1)

have() { docker image inspect "$1" >/dev/null 2>&1; }

# What apt on this machine uses: mirror, proxy and checks. Nothing of it is kept in the project.
mirror() {
    found=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | head -n 1)
    echo "${found:-http://deb.debian.org/debian}"
}
apt_settings() {
    apt-config dump 2>/dev/null | grep -Ei '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date) ' || true
}

make_base() {
    if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
        echo "debian:$suite-slim cannot be pulled, and making a base needs root and: apt-get install -y debootstrap" >&2
        exit 1
    fi
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    url=$(mirror)
    case $url in https:*) extra=--include=ca-certificates ;; *) extra= ;; esac
    eval "$(apt-config shell proxy Acquire::http::Proxy 2>/dev/null || true)"
    if [ -n "${proxy:-}" ] && [ "$proxy" != DIRECT ]; then export http_proxy="$proxy"; fi
    debootstrap --variant=minbase $extra "$suite" "$root" "$url" >&2
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    apt_settings >"$root/etc/apt/apt.conf.d/00host"
    tar -C "$root" -c . | docker import - "$own_base" >&2
}

# One build at a time, however many tests start at once.
exec 9<Dockerfile
flock 9

if ! have "$image"; then
    base=${BASE:-debian:$suite-slim}
    if ! have "$base" && ! docker pull "$base" >&2; then
        if [ -n "${BASE:-}" ]; then exit 1; fi
        base=$own_base
        have "$base" || make_base
    fi
    docker build --network=host --build-arg BASE="$base" -t "$image" . >&2
fi
echo "$image"
