"""The page's parts: who may look, what the log hides, what is drawn, when the box is healthy."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from agent.page.draw import draw
from agent.page.freshness import judge
from agent.page.jpeg import encode_jpeg
from agent.page.logs import LogRing
from agent.page.ports import Look, WatchedCamera
from agent.page.sessions import SESSION_SECONDS, Sessions, Throttle
from contracts.config import CameraConfig, PageConfig
from contracts.documents import read_document
from contracts.errors import DocumentError
from contracts.model_spec import ModelSpec
from runtime.documents import load_toml
from runtime.results import DensityMap, Detections, Result
from tests.fakes.page import LINE, FakeAgent

ROOT = Path(__file__).parents[4]
PASSWORD = "correct horse"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


# Settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "0.0.0.0:8080"}, "set a 'password', or take 127.0.0.1"),
        ({"address": "[::]:8080"}, "set a 'password'"),
        ({"address": "box.example:8080"}, "set a 'password'"),
        ({"password": "short"}, "at least 8 characters"),
        ({"address": "here:port"}, "HOST or HOST:PORT"),
        ({"certificate": "a.pem"}, "'certificate' and 'key' should be given together"),
        ({"viewers": 0}, "'viewers'"),
    ],
)
def test_a_page_that_would_be_open_or_cannot_be_is_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read_document(PageConfig, settings, "agent.toml")
    assert words in str(refused.value)
    assert "short" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "pictures"),
    [
        ({}, True),
        ({"address": "[::1]:8080"}, True),
        ({"address": "localhost"}, True),
        ({"pictures": False}, False),
        ({"address": "0.0.0.0:8080", "password": PASSWORD}, False),
        ({"address": "0.0.0.0:8080", "password": PASSWORD, "pictures": True}, True),
    ],
)
def test_pictures_leave_the_box_only_where_the_configuration_says_so(
    settings: dict[str, object], pictures: bool
) -> None:
    assert read_document(PageConfig, settings, "agent.toml").shows_pictures is pictures


def test_the_page_is_told_of_a_camera_without_its_credentials() -> None:
    camera = CameraConfig(id="north", source="rtsp://admin:hunter2@192.0.2.7/live?token=abc", line=(LINE,))
    spec = ModelSpec.model_validate(load_toml(ROOT / "models/vehicle-density/model.toml"))
    told = WatchedCamera.of(camera, spec)
    assert told.source == "rtsp://192.0.2.7"
    assert (told.line, told.gap) == ((LINE,), camera.stale_after)


# Sessions


def test_a_session_ends_by_hand_and_by_time() -> None:
    clock = Clock()
    sessions = Sessions(PASSWORD, clock)
    one, other = sessions.open(), sessions.open()
    assert sessions.holds(one)
    assert not sessions.holds(one + "x")
    assert not sessions.holds(None)
    sessions.close(one)
    assert not sessions.holds(one)
    clock.now = SESSION_SECONDS
    assert not sessions.holds(other)


def test_sessions_are_bounded_and_the_oldest_goes_first() -> None:
    sessions = Sessions(PASSWORD)
    tokens = [sessions.open() for _ in range(65)]
    assert [sessions.holds(token) for token in tokens] == [False] + [True] * 64


@given(st.text())
def test_only_the_password_is_the_password(text: str) -> None:
    assert Sessions(PASSWORD).is_password(text) is (text == PASSWORD)
    assert not Sessions(None).is_password(text)


def test_who_guesses_waits_and_others_do_not() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(4):
        throttle.wrong("a")
    assert throttle.wait("a") == 0
    clock.now = 10.0
    throttle.wrong("a")
    assert throttle.wait("a") == 50.0
    assert throttle.wait("b") == 0
    clock.now = 60.0
    assert throttle.wait("a") == 0


def test_what_is_remembered_of_guessers_is_bounded() -> None:
    throttle = Throttle(Clock())
    for number in range(1000):
        throttle.wrong(str(number))
    assert len(throttle._wrong) <= 256


# The log


@given(st.text(min_size=4, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_line_of_the_log_shows_a_secret(secret: str, before: str, after: str) -> None:
    ring = LogRing([secret, secret[:4] + "x"])
    ring.handle(
        logging.makeLogRecord({"msg": "%s", "args": (before + secret + after,), "name": "a", "levelname": "INFO"})
    )
    (line,) = ring.after(0)
    assert secret not in str(line["text"])


@given(st.text(min_size=4), st.text(), st.text())
def test_a_secret_that_is_learnt_later_is_shown_by_no_line_before_or_after(
    secret: str, before: str, after: str
) -> None:
    ring = LogRing()
    record = logging.makeLogRecord({"msg": "%s", "args": (before + secret + after,), "name": "a", "levelname": "INFO"})
    ring.handle(record)
    ring.hide([secret])
    ring.handle(record)
    lines = ring.after(0)
    assert [line["seq"] for line in lines] == [1, 2]
    assert not [line for line in lines if secret in str(line["text"])]


def test_the_log_is_bounded_in_lines_and_length() -> None:
    ring = LogRing()
    for number in range(700):
        ring.handle(logging.makeLogRecord({"msg": f"{number} {'x' * 5000}", "levelname": "INFO"}))
    lines = ring.after(0)
    assert len(lines) == 500
    assert lines[-1]["seq"] == 700
    assert all(len(str(line["text"])) <= 2001 for line in lines)
    assert len(ring.after(699)) == 1


def test_a_record_that_cannot_be_formatted_does_not_break_who_logs(capsys: pytest.CaptureFixture[str]) -> None:
    ring = LogRing()
    ring.handle(logging.makeLogRecord({"msg": "%d", "args": ("x",)}))
    assert ring.after(0) == []
    assert "TypeError" in capsys.readouterr().err


# Pictures


def look(result: Result | None, width: int = 80, height: int = 60) -> Look:
    return Look(
        np.full((height, width, 3), 50, np.uint8), 4 / 3, 0, 0.0, result, ("car", "truck"), score=0.5, camera="gate"
    )


def boxes(*found: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    n = len(found)
    return Detections(np.array(found, np.float32).reshape(n, 4), np.full(n, score, np.float32), np.zeros(n, np.int64))


def test_a_box_is_drawn_around_the_thing_and_the_image_is_not_touched() -> None:
    one = look(boxes((0.25, 0.25, 0.75, 0.75)))
    picture, drawn = draw(one, one.image)
    changed = (picture != one.image).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (20, 59, 15, 44)
    assert not changed[20:40, 25:55].any()
    assert (one.image == 50).all()
    assert drawn == {"car": 1}


def test_what_is_not_counted_is_not_drawn() -> None:
    one = look(boxes((0.25, 0.25, 0.75, 0.75), score=0.3))
    picture, drawn = draw(one, one.image)
    assert (picture == one.image).all()
    assert drawn == {}


@given(arrays.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)), st.integers(1, 90), st.integers(1, 90))
def test_any_box_can_be_drawn(values: np.ndarray, width: int, height: int) -> None:
    found = Detections(values, np.ones(3, np.float32), np.array([0, 1, 7], np.int64))
    one = look(found, width, height)
    assert draw(one, one.image)[1] == {"car": 1, "truck": 1, "7": 1}


def test_heat_lies_where_the_density_is_in_a_letterboxed_map_too() -> None:
    values = np.zeros((8, 8), np.float32)
    values[2, 1] = 2.0
    one = look(DensityMap(values, (0.0, -0.5, 1.0, 1.5)), 80, 60)
    picture, _ = draw(one, one.image)
    rows, columns = np.nonzero((picture != one.image).any(axis=2))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 19, 0, 14)


def test_an_empty_map_draws_nothing() -> None:
    one = look(DensityMap(np.zeros((4, 4), np.float32)))
    assert (draw(one, one.image)[0] == one.image).all()


def test_pictures_of_padded_rows_and_odd_sizes_become_jpeg() -> None:
    padded = np.zeros((33, 64, 3), np.uint8)[:, :51]
    picture, _ = draw(look(None), padded)
    jpeg = encode_jpeg(picture)
    assert (jpeg[:3], jpeg[-2:]) == (b"\xff\xd8\xff", b"\xff\xd9")


# Health


def test_a_camera_that_says_ok_but_counts_nothing_is_not_healthy() -> None:
    agent = FakeAgent()
    still = agent.state.health.cameras["north"].model_copy(update={"fps": 0.0})
    health = agent.state.health.model_copy(update={"cameras": {**agent.state.health.cameras, "north": still}})
    verdict = judge(agent.state.model_copy(update={"health": health}))
    assert not verdict.healthy
    assert verdict.cameras == {"north": "no frame was counted in the last 5 s", "south": None}


def test_a_camera_that_is_to_be_counted_rarely_is_healthy_between_frames() -> None:
    agent = FakeAgent(["north"])
    slow = agent.state.watched[0].model_copy(update={"gap": 15.0})
    still = agent.state.health.cameras["north"].model_copy(update={"fps": 0.0})
    health = agent.state.health.model_copy(update={"cameras": {"north": still}})
    assert judge(agent.state.model_copy(update={"health": health, "watched": (slow,)})).healthy


def test_a_camera_that_nothing_is_told_of_is_not_healthy() -> None:
    agent = FakeAgent()
    verdict = judge(agent.state.model_copy(update={"cameras": {}}))
    assert not verdict.healthy


def test_why_a_camera_does_not_count_is_said_with_its_problem() -> None:
    agent = FakeAgent(["north"])
    agent.show("north", None, "no_camera")
    lost = agent.state.health.cameras["north"].model_copy(update={"problem": "connection refused"})
    health = agent.state.health.model_copy(update={"cameras": {"north": lost}})
    verdict = judge(agent.state.model_copy(update={"health": health}))
    assert verdict.cameras["north"] == "the camera gives no frames: connection refused"
