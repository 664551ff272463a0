#!/usr/bin/env bash
# Writes requirements/*.txt: versions and hashes for every supported Python, no download addresses.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=${UV:-uv}
lock() {
  local name=$1
  shift
  "$uv" pip compile pyproject.toml "$@" --universal --python-version 3.10 --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links --no-annotate --quiet -o "requirements/$name.txt"
}
lock dev --extra dev
constraints=(-c requirements/dev.txt)
lock demo --extra convert --extra demo --extra openvino --extra onnxruntime "${constraints[@]}"
lock agent --extra openvino --extra onnxruntime "${constraints[@]}"
lock agent-test --extra test "${constraints[@]}"
