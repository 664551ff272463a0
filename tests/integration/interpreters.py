"""Older interpreters, which NVIDIA's bindings tie some boxes to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def older_python(version: str) -> Path:
    """An interpreter of that version: on the path, or one of pyenv's.

    Where there is none the test is skipped, but in CI it fails for 3.8, without which JetPack 5 is not tested at all.
    """
    found = shutil.which(f"python{version}")
    places = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}"))
    if found and ".pyenv/shims" not in found:
        return Path(found)
    if places:
        return places[-1]
    reason = f"not run: no Python {version} here"
    if version == "3.8" and os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
