"""One box's connection to the broker, as an asyncio protocol: cheap enough that ten thousand fit into a process."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Protocol, cast

from tools.fleet_sim import codec
from tools.fleet_sim.codec import Packet, Publish

KEEPALIVE = 60  # seconds: what contracts.config.BrokerConfig has, unless told otherwise
_MOST_MIDS = 65_535
_SPARE_FILES = 256  # beside the connections


class Listener(Protocol):
    """Who hears of a connection."""

    def connected(self) -> None:
        """The broker accepted, and what was subscribed to comes from now on."""

    def came(self, message: Publish) -> None:
        """A message came; it is acknowledged already."""

    def lost(self) -> None:
        """It is over, and was not closed from this side."""


class Link(asyncio.Protocol):
    """A connection.

    Args:
        listener: who hears of it.
        client_id: of the box.
        will: that the broker publishes where the connection is lost.
        wanted: what is subscribed to, with QoS 1.
    """

    def __init__(self, listener: Listener, client_id: str, will: Publish, wanted: str) -> None:
        self._listener = listener
        self._greeting = codec.connect(client_id, will, KEEPALIVE)
        self._wanted = wanted
        self._splitter = codec.Splitter()
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._mid = 0
        self._closed = False
        self.unconfirmed = 0
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._greeting)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """TCP is gone."""
        self._transport = None
        if not self._closed:
            self._listener.lost()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        try:
            for packet in self._splitter.feed(data):
                self._take(packet)
        except codec.MalformedError:
            self.cut()
            raise

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Send a message, unless the connection is over: a box that lost it loses this one too."""
        if self._transport is None:
            return
        self.sent += 1
        mid = self._next() if qos else 0
        self.unconfirmed += qos
        self._write(codec.publish(Publish(topic, payload, qos, retain, mid)))

    def ping(self) -> None:
        """Say that the box lives."""
        if self._transport is not None:
            self._transport.write(codec.PINGREQ_BYTES)

    def close(self) -> None:
        """Say goodbye: no will is published."""
        self._closed = True
        if self._transport is not None:
            self._waiting.append(codec.DISCONNECT_BYTES)
            self._flush()
            self._transport.close()

    def cut(self) -> None:
        """Be gone, as by a power cut: the broker publishes the will."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def _take(self, packet: Packet) -> None:
        if packet.kind == codec.PUBLISH:
            message = codec.read_publish(packet)
            if message.qos and self._transport is not None:
                self._write(codec.puback(message.mid))
            self._listener.came(message)
        elif packet.kind == codec.PUBACK:
            self.unconfirmed -= 1
        elif packet.kind == codec.CONNACK:
            self._accepted(packet)
        elif packet.kind == codec.SUBACK:
            self._listener.connected()

    def _accepted(self, packet: Packet) -> None:
        if packet.body[1:] != b"\x00":
            raise codec.MalformedError(f"the broker refused a box: {packet.body!r}")
        if self._transport is not None:
            self._transport.write(codec.subscribe(self._next(), [(self._wanted, 1)]))

    def _write(self, data: bytes) -> None:
        """Send with whatever else is to be sent in this turn of the loop: half of the time went into sending."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(data)

    def _flush(self) -> None:
        if self._transport is not None and self._waiting:
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()

    def _next(self) -> int:
        self._mid = self._mid % _MOST_MIDS + 1
        return self._mid


async def open_link(port: int, make: Callable[[], Link], host: str = "127.0.0.1") -> Link:
    """Connect to the broker.

    Raises:
        OSError: it cannot be reached.
    """
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(make, host, port)
    return link


def allow_files(count: int) -> None:
    """See that the process may hold so many connections, where the machine lets it.

    Raises:
        OSError: it does not.
    """
    wanted = count + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except ValueError as error:
        raise OSError(f"{wanted} open files are needed, {hard} are allowed; raise `ulimit -n`") from error
