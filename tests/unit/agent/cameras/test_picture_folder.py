from __future__ import annotations

import threading
from pathlib import Path

import pytest

from agent.cameras.frame import Source
from agent.cameras.table import open_source
from contracts.config import CameraConfig
from contracts.errors import CameraError
from tests.unit.agent.cameras.clips import LEFT, LETTERBOXED, close_to, write_picture


def open_folder(folder: Path, **options: object) -> Source:
    camera = CameraConfig.model_validate({"id": "gate", "source": str(folder), "realtime": False, **options})
    return open_source(camera, LETTERBOXED, threading.Event())


def test_pictures_come_in_their_natural_order_and_size(tmp_path: Path) -> None:
    for name in ("10.png", "9.JPG", "b.bmp", "notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no picture")
        else:
            write_picture(tmp_path / name)
    source = open_folder(tmp_path)
    frames = [source.read() for _ in range(4)]
    assert frames[3] is None
    assert [frame.sequence for frame in frames if frame] == [0, 1, 2]
    assert all(frame.image.shape == (36, 64, 3) and close_to(frame.image[5, 5], LEFT) for frame in frames if frame)
    assert source.read() is None


def test_a_torn_picture_is_named_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_picture(tmp_path / "1.jpg")
    torn = write_picture(tmp_path / "2.jpg")
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    write_picture(tmp_path / "3.jpg")
    source = open_folder(tmp_path)
    numbers = [frame.sequence for frame in iter(source.read, None)]
    assert numbers == [0, 2]
    assert source.dropped == {"damaged": 1}
    assert str(torn) in caplog.text
    assert "camera gate" in caplog.text


def test_a_folder_begins_again_where_it_should_loop(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        write_picture(tmp_path / name)
    source = open_folder(tmp_path, loop=True)
    frames = [source.read() for _ in range(5)]
    assert [frame.sequence for frame in frames if frame] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("loop", [True, False])
def test_a_folder_of_nothing_but_noise_is_an_error(tmp_path: Path, *, loop: bool) -> None:
    (tmp_path / "1.jpg").write_bytes(b"noise")
    source = open_folder(tmp_path, loop=loop)
    with pytest.raises(CameraError, match="no picture can be read"):
        source.read()


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"holds no picture \(\.bmp, \.jpeg, \.jpg, \.png, \.webp\); check the path"):
        open_folder(tmp_path)
