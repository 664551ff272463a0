from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import DocumentError
from contracts.model_spec import InputSpec
from runtime.pictures import clip_frames, read_picture_placed, read_picture_scaled
from runtime.prepare import Placement
from runtime.results import Picture
from tests.data import data_dir
from tests.unit.agent.cameras.clips import LEFT, RIGHT, close_to, halves, write_clip, write_picture

LETTERBOX = InputSpec(width=64, height=64, resize="letterbox")


def whole(path: Path) -> Picture:
    """A picture at its full size."""
    return read_picture_placed(path, lambda width, height: Placement(0, 0, width, height, width, height))[0]


@pytest.mark.parametrize(("name", "most"), [("a.png", 0), ("a.bmp", 0), ("a.jpg", 8)])
def test_a_picture_comes_back_as_it_was(tmp_path: Path, name: str, most: int) -> None:
    picture = whole(write_picture(tmp_path / name))
    assert picture.shape == (72, 128, 3)
    assert picture.dtype == np.uint8
    inner = np.abs(picture.astype(int) - halves(128, 72))[:, [*range(56), *range(72, 128)]]
    assert inner.max() <= most


def test_a_picture_is_scaled_to_the_models_input(tmp_path: Path) -> None:
    picture, placement = read_picture_scaled(write_picture(tmp_path / "a.png"), LETTERBOX)
    assert picture.shape == (36, 64, 3)
    assert (placement.left, placement.top) == (0, 14)
    assert close_to(picture[18, 8], LEFT)
    assert close_to(picture[18, 56], RIGHT)


def test_scaling_down_means_over_what_each_pixel_covers(tmp_path: Path) -> None:
    chequered = np.indices((128, 128)).sum(axis=0) % 2 * 200
    path = write_picture(tmp_path / "a.png", np.repeat(chequered[:, :, None], 3, axis=2).astype(np.uint8))
    picture, _ = read_picture_scaled(path, InputSpec(width=32, height=32))
    assert np.abs(picture.astype(int) - 100).max() <= 3  # a scaler that picks pixels gives 0 or 200


@pytest.mark.parametrize("name", ["shot_%03d.png", "a:b.png", "täglich.png"])
def test_a_files_name_means_nothing_but_its_name(tmp_path: Path, name: str) -> None:
    assert whole(write_picture(tmp_path / name)).shape == (72, 128, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_a_torn_picture_is_refused_rather_than_filled_up(tmp_path: Path, suffix: str) -> None:
    path = write_picture(tmp_path / f"a{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DocumentError, match="expected a picture that can be decoded"):
        whole(path)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="but there is no such file") as caught:
        whole(tmp_path / "a.jpg")
    assert caught.value.where == str(tmp_path / "a.jpg")
    with pytest.raises(DocumentError, match="Is a directory"):
        whole(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000), head=st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM"]))
def test_of_random_bytes_comes_nothing_but_a_document_error(tmp_path: Path, data: bytes, head: bytes) -> None:
    path = tmp_path / "noise.jpg"
    path.write_bytes(head + data)
    try:
        assert whole(path).ndim == 3
    except DocumentError as error:
        assert error.where == str(path)  # noqa: PT017 - most of them are errors, but not all


@pytest.mark.parametrize(("count", "came"), [(1, 1), (4, 4), (20, 20), (50, 20)])
def test_a_clips_pictures_are_spread_evenly(tmp_path: Path, count: int, came: int) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=20)
    pictures = list(clip_frames(clip, count, LETTERBOX))
    assert len(pictures) == came
    assert all(picture.shape == (36, 64, 3) for picture, _ in pictures)
    assert next(clip_frames(clip, count))[0].shape == (72, 128, 3)


def test_what_is_no_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="expected a video that can be decoded, but there is no such file"):
        next(clip_frames(tmp_path / "a.mp4", 3))
    with pytest.raises(ValueError, match="count should be at least 1, got 0"):
        next(clip_frames(tmp_path / "a.mp4", 0))


def test_all_real_pictures_can_be_read() -> None:
    paths = sorted((data_dir() / "images" / "vehicle_topview" / "images").glob("*.jpg"))
    assert len(paths) == 313
    assert {whole(path).shape for path in paths[::10]} == {(640, 640, 3)}
