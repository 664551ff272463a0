"""What a build says of the pictures that it fits rounded forms to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from converters.preparing import prepare
from converters.request import Request
from converters.source import open_model
from runtime.model_dir import read_model_dir
from tests.unit.converters.networks import write_model_dir
from tests.unit.converters.pictures.videos import write_video


@pytest.fixture
def warnings(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    model = open_model(read_model_dir(write_model_dir(tmp_path / "model")))

    def prepared(**changes: object) -> tuple[str, ...]:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        request = Request(tmp_path / "model", tmp_path / "out", pictures=8, **changes)  # type: ignore[arg-type]
        return prepare(request, model, scratch, lambda _: None).warnings

    return prepared


def test_without_pictures_one_sentence_says_what_they_were_and_what_to_give(
    warnings: Callable[..., tuple[str, ...]],
) -> None:
    (said,) = warnings()
    assert "rounded forms were fitted to and judged on a synthetic road" in said
    assert "give --calibration" in said


def test_where_nothing_is_rounded_nothing_is_said(warnings: Callable[..., tuple[str, ...]]) -> None:
    assert warnings(precisions=("fp32",)) == ()


def test_pictures_that_somebody_gave_are_looked_at(tmp_path: Path, warnings: Callable[..., tuple[str, ...]]) -> None:
    clip = write_video(tmp_path / "road.mp4", 60)
    assert any("only 8 calibration pictures" in said for said in warnings(calibration=clip))


def test_pictures_to_judge_on_are_not_fitted_to(tmp_path: Path, warnings: Callable[..., tuple[str, ...]]) -> None:
    said = warnings(evaluation=write_video(tmp_path / "road.mp4", 60))
    assert any("rounded forms were fitted to a synthetic road" in one for one in said)
