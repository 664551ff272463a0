"""TFLite files are read as they are, and anything else is refused with its path."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import ModelFileError
from converters.tflite.flatbuffer import Tensor, read_graph, rename_ends
from runtime.backends.table import open_lane
from tests.integration.tflite_files import SHAPE, write_double


@pytest.fixture
def double(tmp_path: Path) -> Path:
    return write_double(tmp_path / "double.tflite")


def test_operators_and_ends_are_read(double: Path) -> None:
    graph = read_graph(double)
    assert [operator.kind for operator in graph.operators] == ["CAST", "ADD"]
    assert graph.inputs == (Tensor("image", "uint8", SHAPE, constant=False),)
    assert graph.outputs == (Tensor("doubled", "float32", SHAPE, constant=False),)
    assert graph.producers["doubled"].kind == "ADD"


def test_inputs_and_outputs_get_any_name_and_the_file_still_runs(double: Path) -> None:
    rename_ends(double, {"image": "/pixels:0", "doubled": "out/ä"})
    graph = read_graph(double)
    assert (graph.inputs[0].name, graph.outputs[0].name) == ("/pixels:0", "out/ä")
    import numpy as np

    came = open_lane("tflite", double).infer({"/pixels:0": np.full(SHAPE, 4, np.uint8)})
    assert came["out/ä"].max() == 8


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3", b"nothing of the kind"])
def test_what_is_no_tflite_file_is_refused_with_its_path(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.tflite: expected a TFLite file"):
        read_graph(tmp_path / "model.tflite")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 1200), value=st.integers(0, 255), keep=st.integers(0, 1400))
def test_a_damaged_file_is_read_or_refused(double: Path, at: int, value: int, keep: int) -> None:
    content = bytearray(double.read_bytes())[:keep]
    if at < len(content):
        content[at] = value
    damaged = double.with_name("damaged.tflite")
    damaged.write_bytes(content)
    with contextlib.suppress(ModelFileError):
        read_graph(damaged)
