#!/usr/bin/env bash
# Runs our TFLite lanes on tflite-runtime, the interpreter of older boards (Python 3.11, NumPy 1), on files written here.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=
for candidate in python3.11 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python; do
  if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Python 3.11: not found here"
  [ "${CI:-}" = "true" ] && exit 1
  exit 0
fi
venv=build/venv-tflite-runtime
stamp=$venv/.installed
if [ ! -e "$stamp" ] || [ requirements/tflite-runtime.txt -nt "$stamp" ]; then
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --require-hashes -r requirements/tflite-runtime.txt
  touch "$stamp"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m tests.integration.tflite_files "$work"
EDGETALLY_TFLITE_FILES=$work "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/integration/test_tflite_backend.py
