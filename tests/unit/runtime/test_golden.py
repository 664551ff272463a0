"""The golden self-test: what was rounded is held to its decoded result, nothing that is no result ever passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import ArtifactError, BundleError, GoldenError
from runtime.bundle import Bundle, open_bundle
from runtime.golden import check_golden, relative_error
from runtime.results import Tensors
from tests.fakes.bundles import artifact, make_bundle


class ConstantLane:
    """Gives the same value for every place of the density; the sample's reference is 1 everywhere."""

    def __init__(self, value: float, shape: tuple[int, ...] = (1, 1, 2, 2), name: str = "density") -> None:
        self._outputs = {name: np.full(shape, value, np.float32)}

    def infer(self, tensors: Tensors) -> Tensors:
        assert tensors["image"].shape == (1, 4, 4, 3)
        return self._outputs

    def close(self) -> None:
        pass


def parity(decoded: float | None, raw: float | None = None, precision: str = "f32") -> dict[str, Any]:
    output = {"output": "density", "max_error": 0.0, "tolerance": raw}
    allowed = None if decoded is None else {"max_error": 0.0, "tolerance": decoded}
    return {"execution_precision": precision, "frames": 1, "outputs": [output], "decoded": allowed}


def bundle_of(root: Path, **changes: Any) -> Bundle:
    return open_bundle(make_bundle(root, [artifact(root, **changes)]))


def check(bundle: Bundle, lane: ConstantLane, precision: str = "f32") -> None:
    check_golden(lane, bundle, bundle.manifest.artifacts[0], precision)


@pytest.mark.parametrize(("value", "passes"), [(1.0, True), (1.09, True), (0.91, True), (1.11, False), (0.0, False)])
def test_what_was_rounded_passes_within_the_tolerance_of_its_decoded_result(
    value: float, passes: bool, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "b", parity=[parity(decoded=0.1)])
    if passes:
        check(bundle, ConstantLane(value))
        return
    with pytest.raises(GoldenError, match="the result is off by"):
        check(bundle, ConstantLane(value))


def test_what_was_set_anew_for_it_is_part_of_its_result(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b", parity=[parity(decoded=0.01)], tuned={"f32": {"scale": 1.25}})
    check(bundle, ConstantLane(0.8))
    with pytest.raises(GoldenError):
        check(bundle, ConstantLane(1.0))


def test_the_tolerance_is_that_of_the_execution_precision(tmp_path: Path) -> None:
    both = [parity(decoded=0.01), parity(decoded=0.5, precision="bf16")]
    bundle = bundle_of(tmp_path / "b", parity=both, execution_precisions=["f32", "bf16"])
    check(bundle, ConstantLane(1.3), "bf16")
    with pytest.raises(GoldenError):
        check(bundle, ConstantLane(1.3), "f32")


@pytest.mark.parametrize("untried", [[], [parity(decoded=None)], [parity(decoded=0.9, precision="bf16")]])
@pytest.mark.parametrize(("value", "passes"), [(1.19, True), (1.3, False), (0.0, False)])
def test_what_was_never_compared_on_the_host_still_has_to_give_the_reference_s_result(
    untried: list[dict[str, Any]], value: float, passes: bool, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "b", parity=untried)
    if passes:
        check(bundle, ConstantLane(value))
        return
    with pytest.raises(GoldenError):
        check(bundle, ConstantLane(value))


@pytest.mark.parametrize(
    "lane",
    [
        ConstantLane(np.nan),
        ConstantLane(np.inf),
        ConstantLane(1.0, shape=(1, 1, 4, 4)),
        ConstantLane(1.0, shape=(2, 2)),
        ConstantLane(1.0, name="other"),
    ],
    ids=["nan", "infinity", "another size", "another rank", "another output"],
)
@pytest.mark.parametrize("raw", [None, 1e9])
def test_what_is_no_result_never_passes_whatever_the_tolerance(
    lane: ConstantLane, raw: float | None, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "b", parity=[parity(decoded=1e9, raw=raw)])
    with pytest.raises(ArtifactError):
        check(bundle, lane)


def test_a_sample_that_is_no_numpy_file_is_refused(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "b", parity=[parity(decoded=0.1)])
    (bundle.path / bundle.manifest.golden[0].frame.path).write_bytes(b"\x93NUMPY but not really")
    with pytest.raises(BundleError):
        check(bundle, ConstantLane(1.0))


def test_an_error_is_a_share_of_the_reference_s_largest_value() -> None:
    reference = np.array([0.0, -4.0, 2.0])
    assert relative_error(reference + np.array([0.0, 0.0, 1.0]), reference) == 0.25
    assert relative_error(reference[:2], reference) == float("inf")
    assert relative_error(np.array([0.0, np.nan, 2.0]), reference) == float("inf")
