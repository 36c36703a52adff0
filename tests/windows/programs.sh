#!/bin/sh
# docker.exe and dockerd.exe of the played Windows, as far as Berth's scripts call them.
root=$PRACTICE_ROOT
case "$(basename "$0") $1" in
  'dockerd.exe --version') echo "Docker version $(cat "$root/engine-version"), build practice" ;;
  'dockerd.exe --register-service') touch "$root/registered" ;;
  'dockerd.exe --unregister-service') rm -f "$root/registered" ;;
  'docker.exe version') [ -e "$root/engine-runs" ] || { echo 'error during connect' >&2; exit 1; }; cat "$root/engine-version" ;;
  'docker.exe network') [ -e "$root/no-nat" ] || echo nat ;;
  *) echo "not played: $0 $*" >&2; exit 64 ;;
esac
