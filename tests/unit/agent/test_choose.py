"""An artifact is taken by facts and proof; every other is refused with its reason, and nothing falls back unsaid."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from agent.choose import Candidate, Choice, Preference, candidates, choose, setting_of
from agent.engines.build import BuildNeeded
from agent.engines.key import EngineKey
from agent.engines.supply import Awaited, EngineMissingError
from contracts.config import RuntimeConfig
from contracts.errors import BundleError, DeviceError, GoldenError, NoArtifactFitsError
from contracts.manifest import Manifest
from runtime.backends.base import Lane
from runtime.bundle import open_bundle
from runtime.golden import check_golden
from runtime.results import Tensors
from tests.fakes.bundles import artifact, make_bundle

FACTS = {"arch": "x86_64", "runtime.onnxruntime": "1.31.1"}
ANY = RuntimeConfig()


class ConstantLane:
    """Gives the same value for every output element."""

    def __init__(self, value: float) -> None:
        self._value = value

    def infer(self, tensors: Tensors) -> Tensors:
        assert tensors["image"].shape == (1, 4, 4, 3)
        return {"density": np.full((1, 1, 2, 2), self._value, np.float32)}

    def close(self) -> None:
        pass


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Manifest]:
    def make(**artifacts: dict[str, Any]) -> Manifest:
        root = tmp_path / "b"
        rows = [artifact(root, f"{name.replace('_', '-')}/fp32", **changes) for name, changes in artifacts.items()]
        return open_bundle(make_bundle(root, rows)).manifest

    return make


def opens(_: Candidate) -> list[Lane]:
    return [ConstantLane(1)]


def taken(choice: Choice) -> Candidate:
    assert choice.candidate is not None
    return choice.candidate


def test_the_first_that_fits_is_taken_and_the_rest_say_why_not(manifest: Callable[..., Manifest]) -> None:
    arm = {"requires": [{"fact": "arch", "equals": "aarch64"}]}
    choice = choose(manifest(arm=arm, x86={}, other={}), FACTS, ANY, opens)
    assert taken(choice).artifact.id == "x86/fp32"
    assert choice.refused == {
        "arm/fp32": "needs arch aarch64, this device has x86_64",
        "other/fp32": "x86/fp32 comes before it",
    }


def test_one_that_fails_its_proof_is_refused_with_what_it_said(manifest: Callable[..., Manifest]) -> None:
    def prove(candidate: Candidate) -> list[Lane]:
        if candidate.artifact.id == "first/fp32":
            raise GoldenError("off by 0.5")
        return [ConstantLane(1)]

    choice = choose(manifest(first={}, second={}), FACTS, ANY, prove)
    assert taken(choice).artifact.id == "second/fp32"
    assert choice.refused == {"first/fp32": "in f32: off by 0.5"}


def test_none_that_fits_is_an_error_with_every_reason(manifest: Callable[..., Manifest]) -> None:
    arm = {"requires": [{"fact": "arch", "equals": "aarch64"}]}
    strange = {"backend": "abacus"}
    with pytest.raises(NoArtifactFitsError, match="needs arch aarch64") as caught:
        choose(manifest(arm=arm, strange=strange), FACTS, ANY, opens)
    assert "needs backend 'abacus'" in str(caught.value)


def test_one_asked_for_by_name_is_taken_or_refused_never_replaced(manifest: Callable[..., Manifest]) -> None:
    bundle = manifest(first={}, second={})
    assert taken(choose(bundle, FACTS, RuntimeConfig(artifact="second/fp32"), opens)).artifact.id == "second/fp32"
    with pytest.raises(NoArtifactFitsError):
        choose(bundle, FACTS, RuntimeConfig(artifact="third/fp32"), opens)


def test_an_execution_precision_that_was_not_proven_is_refused(manifest: Callable[..., Manifest]) -> None:
    both = {"execution_precisions": ["f32", "bf16"]}
    fitting, refused = candidates(manifest(both=both, one={}), FACTS, RuntimeConfig(execution_precision="bf16"))
    assert [(c.artifact.id, c.execution_precision) for c in fitting] == [("both/fp32", "bf16")]
    assert refused == {"one/fp32": "was proven with f32, the configuration asks for bf16"}


def test_without_a_wish_the_most_exact_execution_precision_is_taken(manifest: Callable[..., Manifest]) -> None:
    fitting, _ = candidates(manifest(both={"execution_precisions": ["f32", "bf16"]}), FACTS, ANY)
    assert fitting[0].execution_precision == "f32"


def verdict(name: str) -> dict[str, Any]:
    interval = {"estimate": 0.0, "low": 0.0, "high": 0.0}
    figures = dict.fromkeys(("reference_bias", "bias", "reference_mae", "mae"), 0.0)
    return figures | {
        "truth": "labels",
        "n": 8,
        "mean_true": 5.0,
        "bias_change": interval,
        "error_rise": interval,
        "max_loss": 0.01,
        "verdict": name,
    }


def pairs(fitting: list[Candidate]) -> list[tuple[str, str]]:
    return [(candidate.artifact.id, candidate.execution_precision) for candidate in fitting]


class TestPairs:
    """An artifact may be run with several execution precisions, each of which was proven on its own."""

    BOTH: ClassVar[dict[str, Any]] = {"execution_precisions": ["bf16", "f32"]}

    def test_they_come_in_the_manifest_s_order(self, manifest: Callable[..., Manifest]) -> None:
        fitting, refused = candidates(manifest(one=self.BOTH, two={}), FACTS, ANY)
        assert pairs(fitting) == [("one/fp32", "bf16"), ("one/fp32", "f32"), ("two/fp32", "f32")]
        assert refused == {}

    def test_undecided_ones_come_after_all_that_are_within_their_budget_for_sure(
        self, manifest: Callable[..., Manifest]
    ) -> None:
        doubtful = self.BOTH | {"accuracy": {"bf16": verdict("undecided"), "f32": verdict("passed")}}
        certain = {"accuracy": {"f32": verdict("passed")}}
        fitting, _ = candidates(manifest(one=doubtful, two=certain, three={}), FACTS, ANY)
        assert pairs(fitting) == [
            ("one/fp32", "f32"),
            ("two/fp32", "f32"),
            ("three/fp32", "f32"),
            ("one/fp32", "bf16"),
        ]

    def test_the_next_precision_of_the_same_artifact_is_tried_and_the_first_s_reason_stays(
        self, manifest: Callable[..., Manifest]
    ) -> None:
        tried: list[str] = []

        def prove(candidate: Candidate) -> list[Lane]:
            tried.append(candidate.execution_precision)
            if candidate.execution_precision == "bf16":
                raise DeviceError("this processor lacks it")
            return [ConstantLane(1)]

        choice = choose(manifest(one=self.BOTH, two={}), FACTS, ANY, prove)
        assert tried == ["bf16", "f32"]
        assert taken(choice).execution_precision == "f32"
        assert choice.refused == {
            "one/fp32 in bf16": "this processor lacks it",
            "two/fp32": "one/fp32 comes before it",
        }

    def test_where_all_fail_every_reason_is_told(self, manifest: Callable[..., Manifest]) -> None:
        def prove(candidate: Candidate) -> list[Lane]:
            raise GoldenError(f"no {candidate.execution_precision}")

        with pytest.raises(NoArtifactFitsError) as caught:
            choose(manifest(one=self.BOTH), FACTS, ANY, prove)
        assert caught.value.refusals == {"one/fp32": "in bf16: no bf16; in f32: no f32"}


def test_the_null_backend_never_counts(manifest: Callable[..., Manifest]) -> None:
    fitting, refused = candidates(manifest(null={"backend": "null"}), FACTS, ANY)
    assert not fitting
    assert "needs backend 'null'" in refused["null/fp32"]


PARITY: dict[str, Any] = {
    "parity": [
        {
            "execution_precision": "f32",
            "frames": 1,
            "outputs": [{"output": "density", "max_error": 0.001, "tolerance": 0.01}],
        }
    ]
}


@pytest.mark.parametrize(
    ("value", "passes"), [(1.0, True), (1.019, True), (1.021, False), (0.0, False), (np.nan, False)]
)
def test_the_golden_test_passes_within_twice_the_tolerance_and_never_with_a_nan(
    tmp_path: Path, value: float, passes: bool
) -> None:
    root = tmp_path / "b"
    bundle = open_bundle(make_bundle(root, [artifact(root, **PARITY)]))
    if passes:
        check_golden(ConstantLane(value), bundle, bundle.manifest.artifacts[0], "f32")
        return
    with pytest.raises(GoldenError, match="density"):
        check_golden(ConstantLane(value), bundle, bundle.manifest.artifacts[0], "f32")


def test_a_bundle_without_samples_proves_nothing(tmp_path: Path) -> None:
    bundle = open_bundle(make_bundle(tmp_path / "b", golden=[]))
    with pytest.raises(BundleError, match="expected golden samples"):
        check_golden(ConstantLane(1), bundle, bundle.manifest.artifacts[0], "f32")


class TestEngines:
    """An artifact whose engine is not built yet is passed over, and the next serves."""

    @staticmethod
    def missing(seconds: float = 0.0, problem: str = "") -> Callable[[Candidate], list[Lane]]:
        def prove(candidate: Candidate) -> list[Lane]:
            if candidate.artifact.id == "last/fp32":
                return [ConstantLane(1)]
            needed = BuildNeeded("fake", EngineKey("10.3", "87", candidate.artifact.digest, "r"), candidate.artifact)
            raise EngineMissingError(Awaited(needed, seconds, problem))

        return prove

    def test_the_next_serves_and_every_one_before_says_so(self, manifest: Callable[..., Manifest]) -> None:
        both = {"execution_precisions": ["f32", "bf16"]}
        choice = choose(manifest(one=both, two={}, last={}), FACTS, ANY, self.missing())
        assert taken(choice).artifact.id == "last/fp32"
        assert choice.refused == {
            "one/fp32": "its engine is being built; last/fp32 serves until then",
            "two/fp32": "its engine is not built; that of one/fp32 comes before it",
        }
        assert [one.needed.artifact.id for one in choice.awaited] == ["one/fp32", "two/fp32"]

    def test_where_nothing_else_can_serve_nothing_does_until_then(self, manifest: Callable[..., Manifest]) -> None:
        choice = choose(manifest(one={}), FACTS, ANY, self.missing())
        assert choice.candidate is None
        assert choice.lanes == []
        assert choice.refused == {"one/fp32": "its engine is being built; nothing serves until then"}

    def test_one_that_could_not_be_built_says_why_and_is_waited_for(self, manifest: Callable[..., Manifest]) -> None:
        choice = choose(manifest(one={}, last={}), FACTS, ANY, self.missing(60.0, "no memory; later"))
        assert choice.refused == {"one/fp32": "no memory; later"}
        assert [one.seconds for one in choice.awaited] == [60.0]

    def test_one_that_is_never_built_again_leaves_nothing_to_wait_for(self, manifest: Callable[..., Manifest]) -> None:
        with pytest.raises(NoArtifactFitsError, match="no memory") as caught:
            choose(manifest(one={}), FACTS, ANY, self.missing(math.inf, "no memory"))
        assert caught.value.refusals == {"one/fp32": "no memory"}


class TestMeasuredHere:
    """What this box measured comes first, as long as it fits and changes nothing that was asked for."""

    @staticmethod
    def preference(manifest: Manifest, number: int, *, digest: str = "", lanes: int = 3) -> Preference:
        chosen = manifest.artifacts[number]
        first = setting_of(chosen, "f32", lanes, 2)
        changed = first.model_copy(update={"digest": digest or first.digest})
        return Preference(changed, "measured here: 71 fps against 48", {"one/fp32": "measured here: 48 fps against 71"})

    def test_it_is_taken_with_its_lanes_and_the_figures_tell_why_others_are_not(
        self, manifest: Callable[..., Manifest]
    ) -> None:
        made = manifest(one={}, two={}, three={})
        choice = choose(made, FACTS, ANY, opens, self.preference(made, 1))
        assert taken(choice).setting == self.preference(made, 1).first
        assert choice.refused == {
            "one/fp32": "measured here: 48 fps against 71",
            "three/fp32": "two/fp32 comes before it",
        }

    def test_where_it_fails_the_usual_order_follows_and_nothing_claims_figures(
        self, manifest: Callable[..., Manifest]
    ) -> None:
        made = manifest(one={}, two={})
        preference = self.preference(made, 1)

        def prove(candidate: Candidate) -> list[Lane]:
            if candidate.setting == preference.first:
                raise DeviceError("no memory")
            return [ConstantLane(1)]

        choice = choose(made, FACTS, ANY, prove, preference)
        assert taken(choice).artifact.id == "one/fp32"
        assert choice.refused == {"two/fp32": "in f32 with 3 lanes of 2 threads: no memory"}

    def test_its_own_usual_setting_may_serve_in_its_place(self, manifest: Callable[..., Manifest]) -> None:
        made = manifest(one={})
        preference = self.preference(made, 0)

        def prove(candidate: Candidate) -> list[Lane]:
            if candidate.lanes == preference.first.lanes:
                raise DeviceError("no memory")
            return [ConstantLane(1)]

        choice = choose(made, FACTS, ANY, prove, preference)
        assert (taken(choice).lanes, taken(choice).threads) == (1, 1)
        assert choice.refused == {"one/fp32 in f32 with 3 lanes of 2 threads": "no memory"}

    @pytest.mark.parametrize("wanted", [{"artifact": "one/fp32"}, {"lanes": 2}, {"threads": 1}])
    def test_what_is_asked_for_by_name_goes_before(
        self, manifest: Callable[..., Manifest], wanted: dict[str, Any]
    ) -> None:
        made = manifest(one={}, two={})
        choice = choose(made, FACTS, RuntimeConfig.model_validate(wanted), opens, self.preference(made, 1))
        assert taken(choice).artifact.id == "one/fp32"
        assert taken(choice).lanes == wanted.get("lanes", 1)

    def test_other_bytes_under_the_same_name_were_not_measured(self, manifest: Callable[..., Manifest]) -> None:
        made = manifest(one={}, two={})
        choice = choose(made, FACTS, ANY, opens, self.preference(made, 1, digest="f" * 64))
        assert taken(choice).artifact.id == "one/fp32"
        assert choice.refused == {"two/fp32": "one/fp32 comes before it"}
