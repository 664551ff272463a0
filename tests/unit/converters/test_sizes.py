"""A sweep over input sizes gives a bundle for each size that the model takes, and says why for the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError
from converters.request import Request
from converters.sizes import parse_sizes, resized, sized_out
from converters.sweep import sweep
from runtime.bundle import open_bundle
from runtime.model_dir import read_model_dir
from tests.unit.converters.networks import SIDE, write_model_dir

sides = st.integers(1, 9999)


@given(st.lists(st.tuples(sides, sides), min_size=1, unique=True))
def test_sizes_are_read_as_they_are_written(sizes: list[tuple[int, int]]) -> None:
    assert parse_sizes(", ".join(f"{width}x{height}" for width, height in sizes)) == tuple(sizes)


def test_one_number_is_a_square() -> None:
    assert parse_sizes("256,320") == ((256, 256), (320, 320))


@pytest.mark.parametrize("text", ["", "256,", "256x", "x256", "-1", "1x1x3", "12345", "256 320", "a", "256,256x256"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="--sizes: expected"):
        parse_sizes(text)


def test_a_size_that_no_model_may_have_is_refused(tmp_path: Path) -> None:
    directory = read_model_dir(write_model_dir(tmp_path / "model"))
    with pytest.raises(DocumentError, match="--sizes"):
        resized(directory, (4, 64))
    assert resized(directory, None) is directory


def test_each_size_has_a_bundle_beside_the_place_asked_for(tmp_path: Path) -> None:
    assert sized_out(tmp_path / "road.bundle", (320, 256)) == tmp_path / "road-320x256.bundle"


def test_every_size_that_the_model_takes_gets_a_bundle_and_the_others_a_reason(tmp_path: Path) -> None:
    model = write_model_dir(tmp_path / "model")
    request = Request(
        model, tmp_path / "a.bundle", ("x86-onnxruntime",), precisions=("fp32",), pictures=8, measuring="none"
    )
    told: list[str] = []
    other, own, none = sweep(
        request, [(SIDE * 2, SIDE), (SIDE, SIDE), (9000, 9000)], lambda what, _done, _total: told.append(what)
    )
    assert other.bundle
    (artifact,) = open_bundle(Path(other.bundle)).manifest.artifacts
    assert artifact.inputs[0].shape == (1, SIDE, SIDE * 2, 3)
    assert artifact.outputs[0].shape == (1, 1, SIDE // 4, SIDE // 2)
    assert own.bundle
    assert none.bundle is None
    assert "8192" in none.error
    assert any(what.startswith(f"{SIDE * 2}x{SIDE}: ") for what in told)
