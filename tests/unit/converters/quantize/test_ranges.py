"""Ranges are those of the pictures, whatever the method forgets of the tails, and are never another model's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.errors import DocumentError, ModelFileError, UnknownNameError
from converters.quantize import ranges as ranges_module
from converters.quantize.ranges import METHODS, tensor_ranges
from tests.unit.converters.quantize.blocks import PICTURES, folded_net, run, written


def test_minmax_is_the_smallest_and_largest_value_of_all_pictures(tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    found = tensor_ranges(model, pictures, "minmax")
    values = np.concatenate([result["density"].ravel() for result in run(onnx.load(model))])
    assert found["density"] == pytest.approx((values.min(), values.max()), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_stays_inside_what_was_seen_and_covers_nearly_all_of_it(method: str, tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    everything = tensor_ranges(model, pictures, "minmax")
    found = tensor_ranges(model, pictures, method)
    assert found.keys() == everything.keys()
    for name, (low, high) in found.items():
        assert everything[name][0] - 1e-6 <= low <= high <= everything[name][1] + 1e-6
        assert high - low >= 0.2 * (everything[name][1] - everything[name][0])


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_histograms_stay_bounded_where_the_first_picture_shows_nothing(method: str, tmp_path: Path) -> None:
    pictures = np.concatenate([np.full_like(PICTURES[:1], 123), PICTURES])  # a histogram begun there would grow
    model, file = written(tmp_path, folded_net(), pictures)
    with_empty = tensor_ranges(model, file, method, tensors=["stem_relu", "gated"])
    assert with_empty.keys() == {"stem_relu", "gated"}
    assert all(np.isfinite(value) for entry in with_empty.values() for value in entry)


def test_what_was_found_is_kept_and_not_found_again(tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    steps: list[int] = []
    first = tensor_ranges(model, pictures, "minmax", progress=lambda done, _total: steps.append(done))
    again = tensor_ranges(model, pictures, "minmax", progress=lambda done, _total: steps.append(-done))
    assert again == first
    assert steps == [1, 2, 3, 4, 5, 6], "the second asked no picture"


@pytest.mark.parametrize("change", ["model", "pictures", "method", "tensors"])
def test_ranges_of_anything_else_are_not_taken(change: str, tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    tensor_ranges(model, pictures, "minmax")
    asked: list[int] = []
    if change == "model":
        onnx.save(folded_net(seed=1), model)
    elif change == "pictures":
        np.save(pictures, PICTURES[::-1])
    method = "percentile" if change == "method" else "minmax"
    tensors = ["density"] if change == "tensors" else None
    tensor_ranges(model, pictures, method, tensors=tensors, progress=lambda done, _total: asked.append(done))
    assert asked


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"density": [0, 1]}', b'{"density": "x"}'])
def test_a_file_that_says_something_else_is_found_anew(content: bytes, tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    first = tensor_ranges(model, pictures, "minmax")
    (file,) = tmp_path.glob("ranges-*.json")
    file.write_bytes(content)
    assert tensor_ranges(model, pictures, "minmax") == first
    assert json.loads(file.read_bytes()).keys() == first.keys()


def test_another_folder_can_hold_what_was_found(tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    (tmp_path / "cache").mkdir()
    tensor_ranges(model, pictures, "minmax", cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("ranges-*.json"))) == 1
    assert not list(tmp_path.glob("ranges-*.json"))


def test_no_more_than_one_picture_is_in_the_network_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, pictures = written(tmp_path, folded_net())
    sizes: list[int] = []
    collector = ranges_module._Collector.collect

    def noted(self: ranges_module._Collector, values: dict[str, np.ndarray]) -> None:
        sizes.append(len(values["density"]))
        collector(self, values)

    monkeypatch.setattr(ranges_module._Collector, "collect", noted)
    tensor_ranges(model, pictures, "percentile")
    assert sizes == [1] * len(PICTURES)


def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net())
    with pytest.raises(UnknownNameError, match="unknown calibration method 'mean'; expected one of entropy, minmax"):
        tensor_ranges(model, pictures, "mean")
    with pytest.raises(DocumentError, match="expected a float32 tensor named 'nothing'"):
        tensor_ranges(model, pictures, "minmax", tensors=["nothing"])
    np.save(pictures, PICTURES.astype(np.float32))
    with pytest.raises(DocumentError, match=r"expected uint8 \(n, height, width, 3\), got float32"):
        tensor_ranges(model, pictures, "minmax")
    np.save(pictures, PICTURES[:, :32])
    with pytest.raises(ModelFileError, match="give pictures of the model's size"):
        tensor_ranges(model, pictures, "minmax")
    pictures.write_bytes(b"no numpy")
    with pytest.raises(DocumentError, match="expected calibration pictures"):
        tensor_ranges(model, pictures, "minmax")


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    model, pictures = written(tmp_path, folded_net(gain=1e38))
    with pytest.raises(ModelFileError, match="holds NaN or infinity on the calibration pictures"):
        tensor_ranges(model, pictures, "minmax")
