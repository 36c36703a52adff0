#!/usr/bin/env bash
# Runs a test program in namespaces of its own, so that nothing it does reaches the machine or outlives it:
#   network  its own 127.0.0.1 and Docker bridge: no port is ever taken, no firewall rule of the machine changed
#   mounts   its own /run (sockets, Docker's default socket, temporary files) and /dev/shm, gone with the last process
#   pids     bash as init: it reaps what daemons leave, and its end kills everything that the test started
# `make test` makes it Cargo's runner where that works; `ip netns exec` does not do: it mounts /sys anew, without cgroups.
set -euo pipefail
# HOME moves too, below: what Cargo keeps there must still be found.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
exec unshare --net --mount --pid --fork --kill-child --mount-proc -- bash -c '
  set -e
  mount -t tmpfs -o mode=0755 tmpfs /run
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  mkdir -p /run/sshd /run/berth/home
  # A folder like /tmp, so that a user of another id can reach what a test puts there for them.
  chmod 1777 /run/berth
  ip link set lo up
  export TMPDIR=/run/berth HOME=/run/berth/home BERTH_TEST_NAMESPACE=1
  unset BERTH_HOME DOCKER_HOST DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_STATE_HOME
  "$@" &
  wait $!
' in-namespace "$@"
