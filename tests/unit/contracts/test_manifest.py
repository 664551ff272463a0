"""What a manifest says of an artifact: its digest, what was set anew for it, and whether it ran as on its device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.manifest import Artifact, DecodedParity, FileEntry, OutputParity, Parity, Tuned, manifest_digest
from contracts.model_spec import DensityOutput, ModelSpec, YoloxOutput
from tests.fakes.bundles import artifact

PARITY = {"execution_precision": "f32", "frames": 1, "outputs": []}


def made(tmp_path: Path, **changes: Any) -> Artifact:
    return Artifact.model_validate(artifact(tmp_path, **changes))


def spec(**output: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "tiny",
            "version": "1.0.0",
            "labels": ["vehicle"],
            "input": {"width": 64, "height": 64},
            "output": output,
        }
    )


class TestTuned:
    def test_a_threshold_is_set_anew_and_all_else_stays(self) -> None:
        model = spec(decoder="yolox", score=0.3, strides=[8])
        tuned = Tuned(score=0.27, scale=None).applied_to(model)
        assert isinstance(tuned.output, YoloxOutput)
        assert (tuned.output.score, tuned.output.strides) == (0.27, (8,))
        assert tuned.model_copy(update={"output": model.output}) == model

    def test_a_scale_is_set_anew_and_the_model_itself_stays_as_it_was(self) -> None:
        model = spec(decoder="density", scale=2.0)
        tuned = Tuned(score=None, scale=2.1).applied_to(model)
        assert isinstance(tuned.output, DensityOutput)
        assert tuned.output.scale == 2.1
        assert model == spec(decoder="density", scale=2.0)

    @pytest.mark.parametrize("values", [{"score": 0.0}, {"score": 1.0}, {"scale": 0.0}, {"scale": -1.0}])
    def test_what_would_find_everything_or_nothing_is_refused(self, values: dict[str, float]) -> None:
        with pytest.raises(ValidationError):
            Tuned.model_validate(values)

    def test_it_holds_for_its_execution_precision_alone(self, tmp_path: Path) -> None:
        model = spec(decoder="density")
        one = made(tmp_path, tuned={"bf16": {"scale": 1.05}}, execution_precisions=["f32", "bf16"])
        assert one.tuned_spec(model, "f32") is model
        assert one.tuned_spec(model, "bf16").output == model.output.model_copy(update={"scale": 1.05})


@pytest.mark.parametrize(
    ("parity", "checked_with", "ran"),
    [
        ([PARITY], None, True),
        ([PARITY], "onnxruntime", False),
        ([PARITY], "openvino", False),
        ([], None, False),
        ([], "none", False),
    ],
)
def test_it_ran_on_its_backend_only_where_nothing_stood_in_not_even_another_plugin(
    parity: list[dict[str, Any]], checked_with: str | None, ran: bool, tmp_path: Path
) -> None:
    assert made(tmp_path, parity=parity, checked_with=checked_with).ran_on_its_backend is ran


@pytest.mark.parametrize(
    ("max_error", "tolerance", "passed"),
    [(0.1, 0.1, True), (0.11, 0.1, False), (float("nan"), 0.1, False), (9.0, None, True)],
)
def test_parity_is_within_every_tolerance_that_there_is(
    max_error: float, tolerance: float | None, passed: bool
) -> None:
    good = OutputParity(output="a", max_error=0.0, tolerance=0.1)
    other = OutputParity(output="b", max_error=max_error, tolerance=tolerance)
    decoded = DecodedParity(max_error=0.0, tolerance=0.1)
    assert Parity(execution_precision="f32", frames=1, outputs=(good, other), decoded=decoded).passed is passed


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../b", "a//b", "./a", "a\\b", ""])
def test_a_path_that_leaves_the_bundle_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="should stay inside the bundle"):
        FileEntry(path=path, sha256="0" * 64, size=0)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), documents, max_size=5), st.text(min_size=1, max_size=5))
def test_the_digest_covers_everything_but_itself(document: dict[str, object], key: str) -> None:
    digest = manifest_digest(document)
    assert manifest_digest({**dict(reversed(document.items())), "digest": "anything"}) == manifest_digest(
        {**document, "digest": "else"}
    )
    if key not in {"digest", *document}:
        assert manifest_digest({**document, key: 0}) != digest
