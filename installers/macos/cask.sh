#!/usr/bin/env bash
# Prints the cask for one disk image.
# usage: cask.sh SITE VERSION IMAGE.dmg      SITE is the project's page, where its releases are
set -euo pipefail
site=$1 version=$2 image=$3
hash=$(shasum -a 256 "$image" | cut -d ' ' -f 1)
sed -e "s|@SITE@|$site|" -e "s/@VERSION@/$version/" -e "s/@SHA256@/$hash/" "$(dirname "$0")/berth.rb"
