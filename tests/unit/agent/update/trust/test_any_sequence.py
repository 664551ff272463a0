"""Any sequence of releases, new keys, replays, lost files and power cuts: a box never goes back, and is never stuck."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.update.errors import UpdateError
from tests.fakes.disk import FakeDisk, PowerCut
from tests.unit.agent.update.trust.repository import Box, Repository

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "rotate", "refresh", "replay", "lose files", "empty files", "cut the power"]),
        st.integers(0, 40),
    ),
    min_size=3,
    max_size=12,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("box")


@settings(max_examples=40)
@given(steps=STEPS)
def test_any_sequence(folder: Path, steps: list[tuple[str, int]]) -> None:
    repository = Repository("cars")
    box = Box(folder, repository)
    states = [repository.files()]
    seen = -1  # the newest state that the box took whole
    begun = -1  # the newest of which it may have taken a part
    for step, number in [*steps, ("refresh", 0)]:
        box.server.files = dict(states[-1])
        if step in {"publish", "rotate"}:
            if step == "rotate":
                repository.rotate("timestamp", "snapshot")
            repository.publish()
            states.append(repository.files())
        elif step == "refresh":
            box.refresh()
            seen = len(states) - 1
        elif step == "replay":
            which = number % len(states)
            box.server.files = dict(states[which])
            if which < seen:
                with pytest.raises(UpdateError):
                    box.refresh()
            elif which >= begun:
                box.refresh()
                seen = which
            else:
                with contextlib.suppress(UpdateError):
                    box.refresh()
                    seen = which
        elif step == "cut the power":
            box.metadata.fail_in, begun = number, len(states) - 1
            try:
                box.refresh()
                seen = len(states) - 1
            except PowerCut:
                dice = random.Random(number)
                box.metadata = box.metadata.after_power_cut(dice)
            box.metadata.fail_in = None
        else:
            names = {} if step == "lose files" else dict.fromkeys(Box.contents(box.metadata), b"")
            box.metadata = FakeDisk(names)
    assert box.version("timestamp") == repository.timestamp.version
