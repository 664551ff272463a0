"""Topics are built and parsed in one place, as inverses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.documents import ID_PATTERN
from contracts.errors import WrittenError
from contracts.topics import Channel, Topic, subscription

ids = st.from_regex(ID_PATTERN.replace("$", r"\Z"))


@given(device=ids, channel=st.sampled_from(Channel), name=ids)
def test_parsing_undoes_building(device: str, channel: Channel, name: str) -> None:
    topic = Topic(device, channel, name if channel.named else None)
    assert Topic.parse(str(topic)) == topic


@given(st.text())
def test_any_text_is_a_topic_of_ours_or_refused(text: str) -> None:
    try:
        topic = Topic.parse(text)
    except WrittenError:
        return
    assert str(topic) == text


@pytest.mark.parametrize("device", ["", "a/b", "A", "+", "#", "a b", "a\n", "x" * 65])
def test_an_id_that_would_change_the_topics_levels_is_refused(device: str) -> None:
    with pytest.raises(WrittenError, match="1 to 64 of a-z"):
        Topic(device, Channel.STATUS)


def test_a_camera_topic_needs_its_camera_and_others_take_none() -> None:
    with pytest.raises(WrittenError):
        Topic("box", Channel.CAMERA_STATE)
    with pytest.raises(WrittenError):
        Topic("box", Channel.STATUS, "gate")


def test_what_late_comers_need_is_retained_and_streams_are_not() -> None:
    retained = {channel for channel in Channel if channel.retained}
    assert retained == {Channel.STATUS, Channel.FACTS, Channel.CAMERA_STATE, Channel.DESIRED, Channel.REPORTED}
    assert {channel for channel in Channel if channel.qos == 0} == {Channel.HEALTH}


def test_a_subscription_stands_for_every_device_and_camera() -> None:
    assert subscription(Channel.CAMERA_COUNTS) == "edgetally/v1/+/camera/+/counts"
    assert subscription(Channel.STATUS, device="box") == "edgetally/v1/box/status"
