#!/usr/bin/env bash
# Makes the environments of the isolated toolchains that the tests run (not modelopt: on demand only); nothing where they are there.
# Where one cannot be made it says why, and fails only in CI: the tests that need it are skipped then.
set -euo pipefail
cd "$(dirname "$0")/../.."
for name in onnx2tf ai-edge-quantizer; do
  .venv/bin/python -m converters.cli tools install "$name" && continue
  echo "tests that need the toolchain $name will be skipped" >&2
  [ "${CI:-}" != "true" ]
done
