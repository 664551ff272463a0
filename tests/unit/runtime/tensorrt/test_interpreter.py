"""Which Python is started for TensorRT."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import pytest

from contracts.errors import DeviceError
from runtime.tensorrt.interpreter import other_python

HERE = Path(sys.executable)


def jetpack_5(root: Path) -> Path:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/lib/python3.8/dist-packages/tensorrt").mkdir(parents=True)
    python = root / "usr/bin/python3.8"
    python.write_text("")
    python.chmod(0o755)
    return python


@pytest.fixture(autouse=True)
def _no_tensorrt_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def test_what_is_named_is_taken_and_the_option_goes_before_the_variable(tmp_path: Path) -> None:
    other = jetpack_5(tmp_path)
    assert other_python(None, {"EDGETALLY_TENSORRT_PYTHON": str(HERE)}) == HERE
    assert other_python(str(other), {"EDGETALLY_TENSORRT_PYTHON": str(HERE)}) == other


@pytest.mark.parametrize("named", ["/none/python", "/etc", "/etc/passwd"])
def test_a_python_that_cannot_be_started_is_refused(named: str) -> None:
    with pytest.raises(DeviceError, match=f"Python with TensorRT at {named}"):
        other_python(named, {})


def test_jetpack_5s_own_python_is_taken_where_this_one_has_no_tensorrt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other_python(None, {}, tmp_path) is None
    python = jetpack_5(tmp_path)
    assert other_python(None, {}, tmp_path) == python
    spec = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    assert other_python(None, {}, tmp_path) is None
