#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment with only the agent's requirements, and counts with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m hatchling build -t wheel -d "$work/dist" >/dev/null
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --require-hashes -r requirements/agent.txt
"$work/venv/bin/python" -m pip install --quiet --no-deps "$work"/dist/*.whl
.venv/bin/python -m converters.cli build models/vehicle-density --out "$work/bundle" \
  --target x86-openvino --target x86-onnxruntime --precision fp32 --measure none >/dev/null
cd "$work"
venv/bin/edgetally-agent --version
venv/bin/edgetally-agent facts
venv/bin/edgetally-agent count synthetic:frames=30,width=640,height=360 --bundle bundle --json
venv/bin/edgetally-convert targets
