#!/usr/bin/env bash
# Looks at the packaged app as a user would: what is in it, how it is signed, that it is the command when called so, and
# that it starts. On a Mac only, after package.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
bundle=target/universal-apple-darwin/release/bundle/macos/Berth.app
program=$bundle/Contents/MacOS/Berth

lipo -archs "$program" | grep -q arm64
lipo -archs "$program" | grep -q x86_64
size=$(stat -f %z "$program")
echo "program, both processors: $((size / 1048576)) MiB"
codesign --verify --deep --strict --verbose=2 "$bundle"
codesign --display --verbose=4 "$bundle" 2>&1 | grep -q runtime || { echo 'not under the hardened runtime' >&2; exit 1; }
/usr/libexec/PlistBuddy -c 'Print :CFBundleURLTypes:0:CFBundleURLSchemes:0' "$bundle/Contents/Info.plist" | grep -qx berth

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BERTH_HOME=$work/home
ln -s "$PWD/$program" "$work/berth"
"$work/berth" --version
"$work/berth" host list
"$work/berth" agent status
"$work/berth" agent stop

"$program" & app=$!
for _ in $(seq 100); do
  [ -S "$BERTH_HOME/agent.sock" ] && break
  sleep 0.2
done
[ -S "$BERTH_HOME/agent.sock" ] || { echo 'the app did not reach its agent' >&2; kill $app; exit 1; }
kill $app
wait $app 2>/dev/null || true
"$work/berth" agent status # it outlives the app
"$work/berth" agent stop
