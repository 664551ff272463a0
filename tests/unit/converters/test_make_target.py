"""Whatever goes wrong with one target is a row of the report, and what was asked for is never left out unsaid."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import StorageError
from converters.families.base import Job
from converters.gate import Truth
from converters.make_target import Task, make_target
from converters.preparing import Prepared
from tests.fakes.families import ScaledFamily
from tests.unit.converters.materials import PICTURES, target, tiny

MakeTask = Callable[..., Task]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def task(prepared: Prepared, tmp_path: Path) -> MakeTask:
    def make(*precisions: str, **changes: Any) -> Task:
        wanted = target(**changes)
        return Task(
            target=wanted,
            job=prepared.job(target()),
            material=prepared.material,
            root=tmp_path,
            precisions=precisions,
            rounds=1,
            allow_fallback=False,
            ranking=tmp_path / "ranking.json",
        )

    return make


def put(monkeypatch: pytest.MonkeyPatch, family: ScaledFamily) -> ScaledFamily:
    monkeypatch.setattr("converters.make_target.open_family", lambda _: family)
    return family


def test_every_precision_of_the_target_is_made_in_its_order(task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, ScaledFamily())
    made = make_target(task())
    assert [artifact.precision for artifact in made.artifacts] == ["int8", "fp32"]
    assert [row.status for row in made.rows] == ["kept", "kept"]


def test_only_what_was_asked_for_is_made(task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, ScaledFamily())
    assert [artifact.precision for artifact in make_target(task("fp32")).artifacts] == ["fp32"]


@pytest.mark.parametrize(
    ("asked", "of_target", "said"),
    [
        ("fp16", ("int8", "fp32", "fp16"), "none of the forms asked for"),
        ("fp8", ("int8", "fp32"), "made in int8, fp32"),
    ],
    ids=["the family cannot", "the target has none"],
)
def test_a_precision_asked_for_that_cannot_be_had_is_a_row(
    asked: str, of_target: tuple[str, ...], said: str, task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, ScaledFamily())
    made = make_target(task(asked, precisions=of_target))
    assert not made.artifacts
    assert [(row.precision, row.status) for row in made.rows] == [(asked, "not run")]
    assert said in made.rows[0].reason


class OnePrecision(ScaledFamily):
    """Packs the model as it is, whatever was asked for."""

    def precisions(self, job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
        del job, wanted
        return ("fp32",)


def test_what_can_only_be_had_in_one_form_is_not_passed_off_as_another(
    task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, OnePrecision())
    made = make_target(task("int8"))
    assert not made.artifacts
    assert [(row.precision, row.status) for row in made.rows] == [("int8", "not run")]
    assert [artifact.precision for artifact in make_target(task()).artifacts] == ["fp32"]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"family": "abacus"}, "not run", "unknown target family 'abacus'"),
        ({"options": {"int8": "s4s4"}}, "not run", "expected int8 as u8s8 or u8u8"),
        ({"options": {"speed": "high"}}, "not run", "got 'speed'"),
    ],
)
def test_a_family_that_is_not_there_or_refuses_its_options_is_a_row_for_each_precision(
    changes: dict[str, Any], status: str, said: str, task: MakeTask, prepared: Prepared
) -> None:
    asked = task(**changes)
    made = make_target(replace(asked, job=prepared.job(asked.target)))
    assert [(row.precision, row.status) for row in made.rows] == [("int8", status), ("fp32", status)]
    assert all(said in row.reason for row in made.rows)


def test_a_model_that_the_family_does_not_take_is_a_failed_row(task: MakeTask) -> None:
    asked = task()
    made = make_target(replace(asked, job=replace(asked.job, folded=None, source=Path("model.xml"))))
    assert [row.status for row in made.rows] == ["failed", "failed"]
    assert "ONNX Runtime takes ONNX files, got .xml" in made.rows[0].reason


def test_a_full_disk_ends_the_build(task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    full = StorageError("out", OSError(errno.ENOSPC, "No space left on device"))
    put(monkeypatch, ScaledFamily(refuses=full))
    with pytest.raises(StorageError):
        make_target(task())


def test_a_slow_target_is_judged_on_fewer_pictures(task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, ScaledFamily())
    for limit, pictures in ((8, 8), (None, PICTURES)):
        (artifact,) = make_target(task("fp32", evaluation_pictures=limit)).artifacts
        assert artifact.accuracy["f32"].n == pictures


def test_where_nothing_is_on_those_few_that_target_alone_is_not_made(
    task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, ScaledFamily())
    true = np.zeros(PICTURES)
    true[0] = 1.0
    asked = task("fp32", evaluation_pictures=8)
    truth = Truth("labels", true, asked.material.truth.reference)
    made = make_target(replace(asked, material=replace(asked.material, truth=truth)))
    assert [row.status for row in made.rows] == ["not run"]
    assert "labels hold nothing on 8" in made.rows[0].reason


def test_layers_are_ranked_once_for_all_targets(task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Job] = []

    def rank(job: Job, *_: object) -> list[str]:
        asked.append(job)
        return ["worst", "better", "best"]

    monkeypatch.setattr("converters.make_target.rank", rank)
    family = put(monkeypatch, ScaledFamily(lambda _: 1.5))
    for _ in range(2):
        make_target(task("int8"))
    assert len(asked) == 1
    assert [recipe.kept_out for recipe in family.asked if recipe.kept_out] == [("worst",)] * 2
    ranking = task().ranking
    assert [path for path in ranking.parent.glob("ranking*") if path != ranking] == [], "no half of it is left behind"
