"""Packets of MQTT 3.1.1: what is written is read back, however the stream is split."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fleet_sim import codec
from tools.fleet_sim.codec import MalformedError, Packet, Publish, Splitter

topics = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
numbers = st.integers(1, 65_535)
messages = st.builds(
    lambda topic, payload, mid, retain: Publish(topic, payload, 1 if mid else 0, retain, mid),
    topics,
    st.binary(max_size=20_000),
    st.just(0) | numbers,
    st.booleans(),
)


@given(messages)
def test_a_message_is_read_as_it_was_written(message: Publish) -> None:
    (packet,) = Splitter().feed(codec.publish(message))
    assert codec.read_publish(packet) == message


@given(st.lists(messages | numbers, max_size=5), st.data())
def test_a_stream_gives_the_same_packets_wherever_it_is_split(sent: list[Publish | int], data: st.DataObject) -> None:
    stream = b"".join(codec.puback(one) if isinstance(one, int) else codec.publish(one) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = Splitter()
    found = [packet for part in parts(stream, cuts) for packet in splitter.feed(part)]
    assert [read(packet) for packet in found] == sent


def test_a_stream_that_comes_byte_by_byte_gives_its_packets() -> None:
    message = Publish("edgetally/v1/box-1/desired", b"x" * 300, 1, retain=True, mid=7)
    stream = codec.publish(message) + codec.PINGREQ_BYTES
    splitter = Splitter()
    found = [packet for byte in stream for packet in splitter.feed(bytes((byte,)))]
    assert codec.read_publish(found[0]) == message
    assert found[1:] == [Packet(12, 0, b"")]


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_packet_or_malformed(data: bytes) -> None:
    try:
        for packet in Splitter().feed(data):
            codec.read_publish(packet)
    except MalformedError:
        pass


def test_a_length_of_five_bytes_is_malformed() -> None:
    with pytest.raises(MalformedError, match="more than four bytes"):
        Splitter().feed(b"\x30\xff\xff\xff\xff\x01")


def test_the_examples_of_the_standard_come_out() -> None:
    assert codec.puback(10) == b"\x40\x02\x00\x0a"  # 3.4
    assert codec.subscribe(10, [("a/b", 1), ("c/d", 2)]) == b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x02"  # 3.8.3.1
    assert codec.publish(Publish("a/b", b"", 1, mid=10)) == b"\x32\x07\x00\x03a/b\x00\x0a"  # 3.3.2.3
    greeting = codec.connect("box", Publish("w", b"off", retain=True), 60)
    assert greeting == b"\x10\x17\x00\x04MQTT\x04\x2e\x00\x3c\x00\x03box\x00\x01w\x00\x03off"


def test_what_fits_into_no_packet_is_refused() -> None:
    with pytest.raises(MalformedError, match="65535 at most"):
        codec.publish(Publish("t" * 65_536, b""))
    with pytest.raises(MalformedError, match="number above 0"):
        codec.publish(Publish("t", b"", 1))


def parts(stream: bytes, cuts: list[int]) -> Iterable[bytes]:
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        yield stream[begin:end]


def read(packet: Packet) -> Publish | int:
    return int.from_bytes(packet.body, "big") if packet.kind == codec.PUBACK else codec.read_publish(packet)
