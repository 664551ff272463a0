"""What was drawn is what results from the layers of the configuration, deletions included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.page.keys import page_keys
from agent.page.ports import CameraProposal
from agent.remote.layers import Layer, effective
from agent.remote.parse import read_part
from contracts.config import AgentConfig, CameraConfig, LineConfig
from tests.fakes.page import ZONE

NAMES = st.sets(st.sampled_from(["a", "b", "c", "d"]))


def lines(names: set[str], y: float) -> tuple[LineConfig, ...]:
    return tuple(LineConfig(name=name, start=(0.0, y), end=(1.0, y)) for name in sorted(names))


@given(NAMES, st.lists(NAMES, min_size=1, max_size=4), st.sampled_from([0.25, 0.5]))
def test_what_was_drawn_last_is_what_counts(filed: set[str], drawn: list[set[str]], y: float) -> None:
    cameras = [
        {"id": "north", "source": "synthetic", "line": [line.model_dump() for line in lines(filed, 0.75)]},
        {"id": "south", "source": "synthetic", "line": [line.model_dump() for line in lines(filed, 0.75)]},
    ]
    local = AgentConfig.model_validate({"device": "d", "bundle": "b", "broker": {"host": "h"}, "camera": cameras})
    keys: dict[str, object] = {"state_seconds": 2.0}
    for names in drawn:
        proposal = CameraProposal(camera="north", line=lines(names, y), zone=(ZONE,))
        keys = page_keys(keys, proposal, local.camera[0])
    result = effective(local, [Layer("page", read_part(keys).keys)])
    north, south = result.camera
    assert sorted(north.line, key=lambda line: line.name) == list(lines(drawn[-1], y))
    assert north.zone == (ZONE,)
    assert south == local.camera[1]
    assert result.state_seconds == 2.0


def test_a_camera_that_only_the_remote_document_has_is_drawn_too() -> None:
    proposal = CameraProposal(camera="west", line=lines({"a"}, 0.5))
    keys = page_keys({}, proposal, None)
    assert [line.name for line in CameraConfig.model_validate({**keys["camera"][0], "source": "x"}).line] == ["a"]  # type: ignore[index]
