"""A classifier's camera has states; what only finders of things can give is refused."""

from __future__ import annotations

import numpy as np
import pytest

from agent.counting.counter import CameraCounter, decoder_score, make_counter, open_counter, questions_asked
from contracts.config import CameraConfig
from contracts.errors import DocumentError
from contracts.model_spec import ModelSpec
from runtime.results import Classes, Detections

LINE = {"name": "gate", "start": [0, 0.5], "end": [1, 0.5]}
ZONE = {"name": "yard", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]}
HEADS = [{"output": "Eyes", "labels": ["open", "shut"]}, {"output": "mouth", "labels": ["still", "yawn"]}]


def a_camera(**more: object) -> CameraConfig:
    return CameraConfig.model_validate({"id": "driver", "source": "synthetic", **more})


def a_model(score: float = 0.01) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "m",
            "version": "1.0.0",
            "labels": ["still", "open", "yawn", "shut"],
            "input": {"width": 64, "height": 64},
            "output": {"decoder": "classes", "head": HEADS, "score": score},
        }
    )


def seen(shut: float, yawn: float) -> Classes:
    probabilities = np.array([1 - yawn, 1 - shut, yawn, shut], np.float32)
    return Classes(np.zeros(2, np.int64), np.ones(2, np.float32), probabilities)


def run(counter: CameraCounter, shut: float, yawn: float, begins: float, seconds: float = 2.0) -> list[tuple[str, str]]:
    frames = [counter.update(seen(shut, yawn), begins + i / 10, 1.0) for i in range(round(seconds * 10))]
    assert {frame.count for frame in frames} == {None}
    return [(change.question, change.state) for frame in frames for change in frame.changes]


def test_each_question_has_its_state_from_its_own_labels() -> None:
    counter = open_counter(a_camera(), a_model())
    assert [question.name for question in questions_asked(a_model())] == ["eyes", "mouth"]
    assert run(counter, 0.1, 0.1, 0) == [("eyes", "open"), ("mouth", "still")]
    assert run(counter, 0.1, 0.9, 2) == [("mouth", "yawn")]
    assert counter.update(seen(0.1, 0.9), 4.0, 1.0).states == {"eyes": "open", "mouth": "yawn"}


def test_the_score_of_the_camera_holds_then_the_models_and_never_less_than_a_clear_majority() -> None:
    assert run(open_counter(a_camera(), a_model()), 0.55, 0.65, 0) == [("mouth", "yawn")]
    assert run(open_counter(a_camera(score=0.5), a_model(0.9)), 0.55, 0.65, 0) == [("eyes", "shut"), ("mouth", "yawn")]
    strict = open_counter(a_camera(), a_model(0.8))
    assert run(strict, 0.75, 0.85, 0) == [("mouth", "yawn")]
    strict.retune(a_model(0.7))
    assert run(strict, 0.75, 0.85, 2) == [("eyes", "shut")]


def test_how_long_a_state_must_hold_is_the_cameras_to_say() -> None:
    states = {"hold_seconds": 0.5, "unknown_seconds": 0.5, "stay_score": 0.3}
    counter = open_counter(a_camera(states=states), a_model())
    assert run(counter, 0.9, 0.1, 0, 0.6) == [("eyes", "shut"), ("mouth", "still")]
    assert run(counter, 0.45, 0.1, 0.6) == [], "0.45 is enough to stay"


def problems(**more: object) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        open_counter(a_camera(**more), a_model())
    return caught.value.problems


def test_lines_and_zones_are_refused() -> None:
    why = "needs a model that finds things; this one classifies the whole picture; remove it or choose a detector"
    assert problems(line=[LINE], zone=[ZONE]) == (f"line 'gate' {why}", f"zone 'yard' {why}")


def test_a_score_to_stay_above_the_one_to_begin_with_is_refused() -> None:
    (problem,) = problems(states={"stay_score": 0.7})
    assert problem == "'states.stay_score' should be at most the score to begin with, 0.6, got 0.7"


@pytest.mark.parametrize(
    ("key", "value", "kinds"),
    [
        ("scale", 2.0, {"density"}),
        ("smoothing_seconds", 1.0, {"density", "boxes"}),
        ("states", {"hold_seconds": 2}, {"states"}),
    ],
)
@pytest.mark.parametrize("kind", ["boxes", "density", "states"])
def test_a_key_for_another_kind_of_model_is_refused(key: str, value: object, kinds: set[str], kind: str) -> None:
    camera = a_camera(**{key: value})
    if kind in kinds:
        make_counter(camera, ["open", "shut"], kind)  # type: ignore[arg-type]
        return
    with pytest.raises(DocumentError, match=f"'{key}' is for models that give .*; take it out"):
        make_counter(camera, ["open", "shut"], kind)  # type: ignore[arg-type]


def test_unknown_before_a_change_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'unknown_seconds' should be at least 'hold_seconds' \(5\), got 3"):
        a_camera(states={"hold_seconds": 5})


def test_a_result_of_another_kind_is_a_bug() -> None:
    with pytest.raises(TypeError, match="expected Classes, got Detections"):
        open_counter(a_camera(), a_model()).update(Detections.none(), 0.0, 1.0)


def test_the_decoder_is_asked_with_the_threshold_itself() -> None:
    assert decoder_score(a_camera(), a_model(0.3)) == 0.3
    assert decoder_score(a_camera(score=0.7), a_model(0.3)) == 0.7
