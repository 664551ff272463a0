"""Packets of MQTT 3.1.1 as bytes: those that a client sends, and those that a broker does. Pure.

Section numbers are those of the OASIS standard of 2014-10-29.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
"""Kinds of packets that a broker sends (2.2.1)."""

PINGREQ_BYTES = b"\xc0\x00"
DISCONNECT_BYTES = b"\xe0\x00"
LARGEST = 268_435_455  # bytes of a packet behind its fixed header (2.2.3)

_CONNECT, _SUBSCRIBE = 1, 8
_LONGEST_TEXT = 65_535  # bytes (1.5.3)
_CONTINUES = 0x80
_MOST_LENGTH_BYTES = 4
_WILL_QOS_1, _WILL_RETAINED, _WILL, _CLEAN = 0x08, 0x20, 0x04, 0x02


class MalformedError(ValueError):
    """Bytes that are no packet, or values that fit into none."""


class Packet(NamedTuple):
    """A packet: its kind, the four flags of its first byte, and what follows its fixed header."""

    kind: int
    flags: int
    body: bytes


class Publish(NamedTuple):
    """A message; ``mid`` numbers it where its ``qos`` is 1 and is 0 otherwise."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    mid: int = 0


class Splitter:
    """Cuts a stream of bytes into packets, wherever it was split."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are whole now.

        Raises:
            MalformedError: a length has more than four bytes.
        """
        rest = self._rest
        rest += data
        found: list[Packet] = []
        begin = 0
        while (lengths := _length(rest, begin + 1)) is not None:
            size, body = lengths
            if len(rest) < body + size:
                break
            found.append(Packet(rest[begin] >> 4, rest[begin] & 0x0F, bytes(rest[body : body + size])))
            begin = body + size
        if begin:
            del rest[:begin]
        return found


def connect(client_id: str, will: Publish, keepalive: int, *, clean: bool = True) -> bytes:
    """CONNECT with a will of QoS 1 (3.1).

    Raises:
        MalformedError: a text is too long.
    """
    flags = _WILL | _WILL_QOS_1 | (_WILL_RETAINED if will.retain else 0) | (_CLEAN if clean else 0)
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + keepalive.to_bytes(2, "big")
    return _packet(_CONNECT, 0, head + _text(client_id) + _text(will.topic) + _sized(will.payload))


def subscribe(mid: int, filters: Sequence[tuple[str, int]]) -> bytes:
    """SUBSCRIBE to filters, each with its highest QoS (3.8).

    Raises:
        MalformedError: a text is too long.
    """
    return _packet(_SUBSCRIBE, 2, _number(mid) + b"".join(_text(name) + bytes((qos,)) for name, qos in filters))


def publish(message: Publish) -> bytes:
    """PUBLISH (3.3).

    Raises:
        MalformedError: it is too long, or a message of QoS 1 has no number.
    """
    if message.qos == 1 and not message.mid:
        raise MalformedError("a message of QoS 1 should have a number above 0")
    numbered = _number(message.mid) if message.qos else b""
    return _packet(PUBLISH, message.qos << 1 | message.retain, _text(message.topic) + numbered + message.payload)


def puback(mid: int) -> bytes:
    """PUBACK (3.4)."""
    return _packet(PUBACK, 0, _number(mid))


def read_publish(packet: Packet) -> Publish:
    """The message of a PUBLISH; the inverse of `publish`.

    Raises:
        MalformedError: it is none.
    """
    qos = packet.flags >> 1 & 3
    body = packet.body
    end = 2 + int.from_bytes(body[:2], "big")
    if packet.kind != PUBLISH or qos > 1 or len(body) < end + (2 if qos else 0):
        raise MalformedError("a PUBLISH of QoS 0 or 1 was expected")
    try:
        topic = body[2:end].decode()
    except UnicodeDecodeError as error:
        raise MalformedError("a topic is no UTF-8") from error
    mid = int.from_bytes(body[end : end + 2], "big") if qos else 0
    return Publish(topic, body[end + 2 if qos else end :], qos, bool(packet.flags & 1), mid)


def _length(data: bytearray, at: int) -> tuple[int, int] | None:
    """The length that stands at a place, and where what it is of begins; None where it is not whole (2.2.3)."""
    size = 0
    for place in range(_MOST_LENGTH_BYTES):
        if at + place >= len(data):
            return None
        byte = data[at + place]
        size |= (byte & 0x7F) << 7 * place
        if not byte & _CONTINUES:
            return size, at + place + 1
    raise MalformedError("a length has more than four bytes")


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    size = len(body)
    if size > LARGEST:
        raise MalformedError(f"a packet has {size} bytes, {LARGEST} at most fit")
    head = bytearray((kind << 4 | flags,))
    while size > 0x7F:  # noqa: PLR2004 - seven bits a byte
        head.append(size & 0x7F | _CONTINUES)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def _text(text: str) -> bytes:
    return _sized(text.encode())


def _sized(data: bytes) -> bytes:
    if len(data) > _LONGEST_TEXT:
        raise MalformedError(f"a text has {len(data)} bytes, {_LONGEST_TEXT} at most fit")
    return _number(len(data)) + data


def _number(number: int) -> bytes:
    return number.to_bytes(2, "big")
