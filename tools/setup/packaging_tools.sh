#!/usr/bin/env bash
# Installs, from the system's packages, what makes roots of other releases and processors, and those that are named;
# says what it installs.
set -euo pipefail
packages=(arch-test mmdebstrap shellcheck "$@")
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "expected to be root: roots of other systems are unpacked and entered; run make with sudo" >&2
  exit 2
fi
echo "installing system packages for the tests of packages: ${missing[*]}"
DEBIAN_FRONTEND=noninteractive apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
