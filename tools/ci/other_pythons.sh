#!/usr/bin/env bash
# Runs the unit tests of what a device carries on each Python named, in an environment without inference runtimes.
set -euo pipefail
cd "$(dirname "$0")/../.."
find_python() {
  # Each candidate is tried: a shim of a version manager may stand for a Python that is not chosen here.
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if "$candidate" -c 'import venv, ensurepip, sqlite3' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}
for version in "$@"; do
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    echo "Python $version: not found here"
    [ "${CI:-}" = "true" ] && exit 1
    continue
  fi
  echo "Python $version"
  venv=build/venv-$version
  stamp=$venv/.installed
  if [ ! -e "$stamp" ] || [ requirements/agent-test.txt -nt "$stamp" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --require-hashes -r requirements/agent-test.txt
    touch "$stamp"
  fi
  "$venv/bin/python" -m pytest -q -n 2 -p no:cacheprovider -m 'not slow' \
    tests/unit/contracts tests/unit/runtime tests/unit/agent tests/test_architecture.py
done
