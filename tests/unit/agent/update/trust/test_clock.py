"""Metadata ends by the time that is believed: a clock at 1970 or far ahead helps nobody."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from agent.remote.rules import Moment
from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.trust.rules import EARLIEST, WARN_OFFLINE, WARN_ONLINE, Floors, believed, expiry_warning
from tests.unit.agent.update.trust.repository import LATER, NOW, Box, Repository

DAY = dt.timedelta(days=1)


@pytest.fixture
def repository() -> Repository:
    return Repository("cars")


@pytest.fixture
def box(tmp_path: Path, repository: Repository) -> Box:
    return Box(tmp_path, repository)


def test_a_clock_that_nobody_set_does_not_bring_ended_metadata_back(box: Box, repository: Repository) -> None:
    repository.timestamp.expires = NOW + 2 * DAY
    repository.next_online()
    box.wall = (NOW + DAY).timestamp()
    box.refresh()
    frozen = repository.files()
    repository.timestamp.expires = NOW + LATER
    repository.next_online()
    box.wall = (NOW + 3 * DAY).timestamp()
    box.refresh()
    box.server.files = frozen | {"metadata/timestamp.json": repository.files()["metadata/timestamp.json"]}
    box.refresh()  # the newest is still good

    box.wall, box.trusted = 0.0, False
    repository.timestamp.expires = NOW + 2 * DAY  # a freeze: valid by this box's clock, ended by what it knows
    repository.next_online()
    with pytest.raises(UpdateWaitsError, match="not synchronised") as waits:
        box.refresh()
    assert waits.value.code == "metadata_expired"


def test_a_box_that_was_never_told_the_time_knows_when_its_program_was_made(box: Box, repository: Repository) -> None:
    """Even one with a clock at 1970 that says it is set."""
    assert believed(Moment(0.0, trusted=True), Floors()) == EARLIEST
    assert believed(Moment(0.0, trusted=None), Floors()) == EARLIEST
    assert dt.datetime.now(dt.timezone.utc).timestamp() > EARLIEST


def test_a_clock_far_ahead_waits_and_goes_on_once_it_is_set(box: Box, repository: Repository) -> None:
    repository.publish()
    box.wall, box.trusted = (NOW + 20 * LATER).timestamp(), False
    with pytest.raises(UpdateWaitsError, match="probable cause is this box's clock") as waits:
        box.refresh()
    assert waits.value.code == "metadata_expired"
    box.wall = NOW.timestamp()
    box.refresh()


def test_a_clock_a_little_ahead_is_believed_no_longer_than_the_metadata_lasts(box: Box, repository: Repository) -> None:
    box.wall, box.trusted = (NOW + LATER - DAY).timestamp(), False
    box.refresh()
    box.wall = NOW.timestamp()
    repository.publish()
    box.refresh()
    box.trusted = True
    box.refresh()
    assert believed(Moment(NOW.timestamp(), trusted=True), Floors(seen=box.wall + 9)) == NOW.timestamp()


def test_a_clock_that_is_set_is_final(box: Box, repository: Repository) -> None:
    box.wall = (NOW + 2 * LATER).timestamp()
    with pytest.raises(UpdateError) as error:
        box.refresh()
    assert error.value.code == "metadata_expired"
    assert "clock" not in error.value.reason
    assert f"{NOW + LATER:%Y-%m-%dT%H:%M:%SZ}" in error.value.reason


def test_python_tuf_itself_refuses_what_has_ended_by_the_wall_clock(box: Box, repository: Repository) -> None:
    """It reads the clock itself; ours adds what it cannot know. Nothing is ever taken after its end by either."""
    repository.timestamp.expires = NOW - DAY
    repository.next_online()
    box.wall = (NOW - 2 * DAY).timestamp()
    with pytest.raises(UpdateError, match=r"timestamp\.json is expired") as error:
        box.refresh()
    assert f"{NOW - DAY:%Y-%m-%d}" in error.value.reason


def test_the_end_of_metadata_is_an_alarm_early_enough_to_sign_it_anew() -> None:
    now = NOW.timestamp()
    far = {"root": NOW + WARN_OFFLINE + DAY, "timestamp": NOW + WARN_ONLINE + DAY}
    assert expiry_warning({}, now) is None
    assert expiry_warning(far, now) is None
    soon = expiry_warning(far | {"model-cars": NOW + WARN_OFFLINE - DAY, "snapshot": NOW - DAY}, now)
    assert soon is not None
    assert "snapshot ended" in soon
    assert "model-cars ends" in soon
    assert "root" not in soon
