"""Which pictures calibrate and which judge: never the same, and never of the same clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import DocumentError
from contracts.model_spec import InputSpec
from converters.pictures.clip import clip_items
from converters.pictures.folder import folder_items
from converters.pictures.item import Item, spread
from converters.pictures.road import road_items
from runtime.pictures import PICTURE_SUFFIXES

MIN_PICTURES = 8  # fewer tell little about an artifact
_ROAD_PICTURES = 48
_CALIBRATION_SEED, _EVALUATION_SEED = 1, 2
_EVERY_THIRD = 3  # clip of a folder that serves for both calibrates, the others judge


@dataclass(frozen=True)
class Limits:
    """How many pictures are taken at most.

    Args:
        calibration: 100 to 500 are usual.
        evaluation: the more, the smaller the loss that can be told from chance.
    """

    calibration: int = 300
    evaluation: int = 300


@dataclass(frozen=True)
class Chosen:
    """Pictures of one role.

    Args:
        items: the pictures.
        origin: where they came from, for a person.
        warnings: what a person should know.
    """

    items: tuple[Item, ...]
    origin: str
    warnings: tuple[str, ...] = ()


def choose_pictures(
    spec: InputSpec, calibration: Path | None, evaluation: Path | None, limits: Limits = Limits()
) -> tuple[Chosen, Chosen]:
    """Pictures to calibrate on and pictures to judge on.

    One source for both (or calibration alone) is split: a labelled folder by clip, a folder without clips and a video
    in the middle. No source at all means two synthetic roads.

    Args:
        spec: the model's input.
        calibration: a labelled folder, a folder of pictures, or a video; None for the synthetic road.
        evaluation: the same.
        limits: how many at most.

    Raises:
        DocumentError: a source does not exist or holds too few pictures, or the two share a picture or a clip.
    """
    if calibration is None and evaluation is None:
        return _road(spec, limits.calibration, _CALIBRATION_SEED), _road(spec, limits.evaluation, _EVALUATION_SEED)
    if evaluation is None or evaluation == calibration:
        assert calibration is not None
        return _split(spec, calibration, limits)
    judging = _judging(_items(spec, evaluation, "--evaluation", limits.evaluation), evaluation, limits.evaluation)
    if calibration is None:
        return _road(spec, limits.calibration, _CALIBRATION_SEED), judging
    items = _items(spec, calibration, "--calibration", limits.calibration)
    return _taken(items, calibration, limits.calibration, "--calibration"), judging


def check_disjoint(calibration: Sequence[Item], evaluation: Sequence[Item]) -> None:
    """See that nothing is judged on what it was calibrated with.

    Raises:
        DocumentError: the two share a picture or a clip, which is named.
    """
    seen = {item.digest: item.name for item in calibration}
    for item in evaluation:
        if item.digest in seen:
            raise DocumentError(
                "--evaluation",
                [f"picture {item.name} is {seen[item.digest]} of the calibration pictures; give other pictures"],
            )
    clips = {item.clip for item in calibration if item.clip} & {item.clip for item in evaluation if item.clip}
    if clips:
        raise DocumentError(
            "--evaluation",
            [f"clip {min(clips)!r} calibrates too, and its pictures are nearly equal; split the pictures by clip"],
        )


def _road(spec: InputSpec, limit: int, seed: int) -> Chosen:
    count = min(limit, _ROAD_PICTURES)
    return Chosen(tuple(road_items(spec, count, seed)), f"synthetic road, seed {seed}, {count} pictures")


def _split(spec: InputSpec, source: Path, limits: Limits) -> tuple[Chosen, Chosen]:
    if not source.is_dir():
        first = clip_items(_existing(source, "--calibration"), limits.calibration, spec, part=(0.0, 0.5))
        last = clip_items(source, limits.evaluation, spec, part=(0.55, 1.0))
        return (
            _taken(first, source, limits.calibration, "--calibration"),
            _taken(last, source, limits.evaluation, "--evaluation"),
        )
    items = folder_items(source)
    if any(item.clip for item in items):
        ours, theirs = _by_clip(items)
    else:
        ours, theirs = items[: len(items) // 2], items[len(items) // 2 :]
    calibration = _taken(ours, source, limits.calibration, "--calibration")
    left_out = len(items) - len(ours) - len(theirs)
    if left_out:
        said = (
            f"{left_out} of {len(items)} pictures of {source.name} name no clip and were left out, for they may be of "
            "a clip that is used; fill in column 'clip' of counts.csv"
        )
        calibration = replace(calibration, warnings=(*calibration.warnings, said))
    return calibration, _judging(theirs, source, limits.evaluation)


def _by_clip(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Every third clip calibrates, as do those whose labels are incomplete; pictures without a clip do neither."""
    partial = {item.clip for item in items if item.calibration_only}
    clips = sorted({item.clip for item in items if item.clip} - partial, key=lambda clip: (len(clip), clip))
    ours = {*clips[1::_EVERY_THIRD], *partial}
    return (
        [item for item in items if item.clip and item.clip in ours],
        [item for item in items if item.clip and item.clip not in ours],
    )


def _items(spec: InputSpec, source: Path, flag: str, limit: int) -> list[Item]:
    if _existing(source, flag).is_dir():
        return folder_items(source)
    return clip_items(source, limit, spec)


def _existing(source: Path, flag: str) -> Path:
    if not source.exists():
        raise DocumentError(
            flag, [f"expected a folder of pictures or a video, {source} does not exist; check the path"]
        )
    return source


def _judging(items: Sequence[Item], source: Path, limit: int) -> Chosen:
    """Those with a true count, where any has one; all of them where the FP32 counts have to stand in."""
    labelled = [item for item in items if item.count is not None and not item.calibration_only]
    return _taken(labelled or items, source, limit, "--evaluation")


def _taken(items: Sequence[Item], source: Path, limit: int, flag: str) -> Chosen:
    if len(items) < MIN_PICTURES:
        kinds = ", ".join(sorted(PICTURE_SUFFIXES))
        raise DocumentError(
            flag,
            [f"expected at least {MIN_PICTURES} pictures ({kinds}), {source} gives {len(items)}; add some"],
        )
    chosen = tuple(items[index] for index in spread(len(items), limit))
    kind = "folder" if source.is_dir() else "clip"
    return Chosen(chosen, f"{kind} {source.name}, {len(chosen)} of {len(items)} pictures")
