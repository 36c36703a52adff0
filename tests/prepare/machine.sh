#!/usr/bin/env bash
# Brings the programs that the tests start: OpenSSH's server, Docker's engine, a Secret Service, FreeTDS.
# Debian as root: installs what is missing. Elsewhere: says what is missing; the tests then say what they skip.
# usage: machine.sh [compile]    only what Cargo needs to begin, so that the rest comes while it compiles
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"

has() { command -v "$1" >/dev/null 2>&1; }
missing=''
want() { # the program, and the Debian package that brings it
  has "$1" || missing="$missing $2"
}
want cc gcc
only=${1:-everything}
if [ "$only" = everything ]; then
  want ssh openssh-client
  want sshd openssh-server
  want docker docker.io
  want tsql freetds-bin
  want java openjdk-17-jre-headless
  want python3 python3
  want nc netcat-openbsd
  want pkill procps
  want chromium chromium
  # What reads back what connection strings travel in.
  want zsh zsh
  want fish fish
  want ruby ruby
  want jq jq
  if [ "$(uname -s)" = Linux ]; then
    want dockerd docker.io
    want gnome-keyring-daemon gnome-keyring
    want dbus-daemon dbus
    want dbus-send dbus-bin
    want ip iproute2
    want iptables iptables
    want tcpdump tcpdump
    want unshare util-linux
    want Xvfb xvfb
    want xclip xclip
    want xdotool xdotool
    want WebKitWebDriver webkit2gtk-driver
  fi
fi
# Not programs: what is linked with, Python's venv, what the ODBC driver and .NET load, a clock that can be set.
if has dpkg-query; then
  installed() { dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed'; }
  # A C library to link with, and what the app's window and menu-bar item are made of on Linux.
  for package in libc6-dev libwebkit2gtk-4.1-dev libayatana-appindicator3-dev; do
    installed "$package" || missing="$missing $package"
  done
  if [ "$only" = everything ]; then
    for package in libodbc2 odbcinst tdsodbc libjtds-java librhino-java libgssapi-krb5-2 python3-venv fonts-inter libfaketime 'libicu[0-9]*'; do
      installed "$package" || missing="$missing $package"
    done
  fi
fi
[ -n "$missing" ] || exit 0

set -f # `libicu[0-9]*` is a pattern of packages, not of files
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
if [ "$(id -u)" = 0 ] && has apt-get; then
  export DEBIAN_FRONTEND=noninteractive
  # A package must not start its own daemons: the tests start theirs, in namespaces of their own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 0755 $policy
    trap 'rm -f '$policy EXIT
  fi
  apt-get -qq update
  # ICU's package carries its version in its name: take what this release has.
  case $missing in
    *'libicu['*) missing="${missing%%libicu*} $(apt-cache pkgnames libicu | grep -E '^libicu[0-9]+$' | sort -V | tail -n 1) ${missing#*\]\*}" ;;
  esac
  echo "installing: $missing"
  # shellcheck disable=SC2086  # a list of names
  apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
  echo "these are missing, and tests that need them are skipped (names of Debian's packages): $missing"
fi
