#!/usr/bin/env bash
# Installs, from the system's packages, the servers that the tests run against; says what it installs.
# Where it may not install it says what is missing and how to get it, and fails only in CI.
set -euo pipefail
packages=(
  mosquitto mosquitto-clients nats-server nginx-light openssl postgresql chromium libfaketime gcc libc6-dev
  python3-gi gir1.2-gst-rtsp-server-1.0
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo -n)
fi
if command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
  echo "installing system packages for the tests: ${missing[*]}"
  # The packaged brokers must not start: the tests start their own on a free port.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  exit 0
fi
echo "tests that need these packages will be skipped: ${missing[*]}" >&2
echo "to run them: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
[ "${CI:-}" != "true" ]
