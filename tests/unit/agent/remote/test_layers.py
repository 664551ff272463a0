"""Layers are merged by name, and what changes is found camera by camera."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.remote.layers import Layer, effective
from agent.remote.plan import IN_PLACE, plan_changes
from agent.remote.refusals import DocumentRefusedError
from contracts.config import AgentConfig, CameraConfig, StatesConfig
from contracts.desired import DesiredConfig
from tests.fakes.applier import FakeApplier, in_order
from tests.unit.agent.remote.boxes import local


def remote(**keys: Any) -> AgentConfig:
    return effective(local(), [Layer("remote", keys)])


def camera(config: AgentConfig, camera_id: str) -> CameraConfig:
    return next(one for one in config.camera if one.id == camera_id)


def test_a_camera_is_merged_by_its_id_and_keeps_what_is_not_named() -> None:
    config = remote(camera=[{"id": "yard", "score": 0.5}])
    assert [one.id for one in config.camera] == ["gate", "yard"]
    assert camera(config, "yard").fps == 10
    assert camera(config, "yard").score == 0.5


def test_lines_and_zones_are_merged_by_their_names() -> None:
    added = {"name": "second", "start": [0, 0], "end": [1, 1]}
    config = remote(camera=[{"id": "gate", "line": [{"name": "stop", "labels": ["car"]}, added]}])
    lines = camera(config, "gate").line
    assert [(line.name, line.labels) for line in lines] == [("stop", ("car",)), ("second", ())]
    assert lines[0].start == (0, 0.5)


def test_null_unsets_what_a_lower_layer_has() -> None:
    assert camera(remote(camera=[{"id": "yard", "fps": None}]), "yard").fps is None


def test_a_row_that_is_not_enabled_is_left_out_and_may_come_back_in_a_higher_layer() -> None:
    off = Layer("page", {"camera": [{"id": "yard", "enabled": False}]})
    assert [one.id for one in effective(local(), [off]).camera] == ["gate"]
    on = Layer("remote", {"camera": [{"id": "yard", "enabled": True}]})
    assert camera(effective(local(), [off, on]), "yard") == camera(local(), "yard")


def test_a_higher_layer_wins_and_a_secret_of_a_lower_one_stays() -> None:
    layers = [Layer("page", {"window_seconds": 5.0, "state_seconds": 2.0}), Layer("remote", {"window_seconds": 6.0})]
    config = effective(local(), [*layers, Layer("remote", {"broker": {"port": 1884}})])
    assert (config.window_seconds, config.state_seconds, config.broker.address) == (6, 2, "old.example:1884")
    assert config.broker.password is not None
    assert config.broker.password.get_secret_value() == "local-secret"


NAMES = st.sampled_from(["a", "b", "c"])


def test_a_label_may_be_called_as_a_list_of_rows_is() -> None:
    assert remote(labels={"zone": "north", "camera": "east"}).labels == {"zone": "north", "camera": "east"}


def test_nothing_changes_where_nothing_differs() -> None:
    assert plan_changes(local(), remote(camera=[{"id": "yard", "fps": 10}])).is_empty


@pytest.mark.parametrize(
    ("keys", "restarts"),
    [
        ({"score": 0.5}, False),
        ({"fps": 5}, False),
        ({"stale_after": 5}, True),
        ({"zone": [{"name": "z", "polygon": [[0, 0], [1, 0], [1, 1]]}]}, False),
        ({"line": [{"name": "stop", "enabled": False}]}, False),
        ({"source": "rtsp://192.0.2.9/other"}, True),
        ({"transport": "udp", "fps": 5}, True),
    ],
)
def test_only_what_concerns_the_stream_opens_a_camera_anew(keys: dict[str, Any], restarts: bool) -> None:
    plan = plan_changes(local(), remote(camera=[{"id": "gate"} | keys]))
    named = plan.restart if restarts else plan.change
    other = plan.change if restarts else plan.restart
    assert [one.id for one in named] == ["gate"]
    assert (other, plan.stop, plan.start, plan.device, plan.connectivity) == ((), (), (), frozenset(), False)


@pytest.mark.parametrize("keys", [{"scale": 1.2}, {"states": {"hold_seconds": 2}}, {"smoothing_seconds": 3}])
def test_what_counts_are_made_with_changes_while_a_camera_stays_open(keys: dict[str, Any]) -> None:
    plan = plan_changes(local(), remote(camera=[{"id": "gate"} | keys]))
    assert ([one.id for one in plan.change], plan.restart) == (["gate"], ())


@pytest.mark.parametrize("source", ["http://192.0.2.1/snapshot.jpg", "rtsp://192.0.2.1/gate"])
def test_a_camera_that_is_read_at_its_rate_is_opened_anew_for_another_one(source: str) -> None:
    before = remote(camera=[{"id": "gate", "source": source}])
    plan = plan_changes(before, remote(camera=[{"id": "gate", "source": source, "fps": 3}]))
    assert bool(plan.restart) == source.startswith("http")
    assert bool(plan.change) != bool(plan.restart)


def test_the_rules_of_states_are_merged_key_by_key_and_checked_as_a_whole() -> None:
    page = Layer("page", {"camera": [{"id": "gate", "states": {"hold_seconds": 2.0, "unknown_seconds": 9.0}}]})
    document = DesiredConfig.model_validate({"camera": [{"id": "gate", "states": {"hold_seconds": 5.0}}]})
    merged = camera(effective(local(), [page, Layer("remote", document.keys)]), "gate").states
    assert merged == StatesConfig(hold_seconds=5.0, unknown_seconds=9.0)
    with pytest.raises(DocumentRefusedError) as refused:
        effective(local(), [Layer("remote", document.keys)])
    (error,) = refused.value.errors
    assert error.path == "config.camera.gate.states"
    assert "'unknown_seconds' should be at least 'hold_seconds' (5), got 3" in error.problem


def test_a_key_that_is_yet_to_come_opens_a_camera_anew() -> None:
    """A key has to be listed to be applied in place, so that a forgotten one does no harm."""
    assert set(CameraConfig.model_fields) > IN_PLACE


def test_cameras_come_and_go_and_the_device_changes() -> None:
    keys: dict[str, Any] = {
        "camera": [{"id": "yard", "enabled": False}, {"id": "new", "source": "synthetic"}],
        "labels": {"site": "north"},
        "log_level": "debug",
        "broker": {"keepalive": 60},
    }
    plan = plan_changes(local(), remote(**keys))
    assert (plan.stop, [one.id for one in plan.start]) == (("yard",), ["new"])
    assert (plan.restart, plan.change, plan.connectivity) == ((), (), True)
    assert plan.device == {"labels", "log_level"}


SOURCES = st.sampled_from(["synthetic", "rtsp://192.0.2.1/a"])
CAMERAS = st.lists(
    st.builds(CameraConfig, id=NAMES, source=SOURCES, fps=st.sampled_from([None, 5.0])),
    min_size=1,
    unique_by=lambda c: c.id,
)


@settings(max_examples=50, deadline=None)
@given(CAMERAS, CAMERAS, st.sampled_from([5, 10]))
def test_a_plan_leads_from_any_configuration_to_any_other_and_leaves_the_same_cameras_alone(
    before: list[CameraConfig], after: list[CameraConfig], window: float
) -> None:
    old, new = local(camera=before), local(camera=after, window_seconds=window)
    applier = FakeApplier(old)
    applier.apply(plan_changes(old, new))
    assert applier.config == in_order(new)
    for one in {one.id for one in before if one in after}:
        assert applier.opened[one] == 1
