"""The newest value of every topic that is not a report, and answers: nothing stale is ever queued."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from agent.mqtt.ports import Address, ForeignTopic, Outgoing
from contracts.topics import Topic

MOST_ANSWERS = 16  # that wait to be sent; whoever asks more than that loses the oldest


@dataclass
class _Post:
    """A topic's newest value: ``dirty`` where it was not sent yet, ``on_its_way`` until the broker answered."""

    payload: bytes
    dirty: bool = True
    on_its_way: bool = False


class Board:
    """Newest values and answers, left by any thread and taken by the link's."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._connected = False
        self._posts: dict[Address, _Post] = {}
        self._answers: deque[tuple[Topic, bytes]] = deque(maxlen=MOST_ANSWERS)

    def put(self, topic: Address, payload: bytes) -> bool:
        """Leave a value; an empty one takes a retained message back.

        Returns:
            Whether it waits to be sent: what is not retained is dropped where there is no connection.
        """
        with self._mutex:
            if not (self._connected or _is_retained(topic)):
                return False
            post = self._posts.setdefault(topic, _Post(payload))
            post.payload, post.dirty = payload, True
            return True

    def answer(self, topic: Topic, payload: bytes) -> None:
        """Leave a message of which each counts, not only the newest; dropped where there is no connection."""
        with self._mutex:
            if self._connected:
                self._answers.append((topic, payload))

    def connected(self) -> None:
        """A connection begins: everything is sent again, as the broker may have lost it."""
        with self._mutex:
            self._connected = True
            for post in self._posts.values():
                post.dirty, post.on_its_way = True, False

    def disconnected(self) -> None:
        """It ended: what is not retained is of no use later."""
        with self._mutex:
            self._connected = False
            self._answers.clear()
            for topic in [topic for topic in self._posts if not _is_retained(topic)]:
                del self._posts[topic]

    def take(self) -> tuple[Address, Outgoing] | None:
        """The next answer or value to send, None where there is none; `answered` must follow for its topic."""
        with self._mutex:
            if self._answers:
                topic, payload = self._answers.popleft()
                return topic, Outgoing(str(topic), payload, topic.channel.qos, retain=False)
            return self._newest()

    def _newest(self) -> tuple[Address, Outgoing] | None:
        for topic, post in self._posts.items():
            if post.dirty and not post.on_its_way:
                post.dirty, post.on_its_way = False, True
                qos = topic.channel.qos if isinstance(topic, Topic) else 1
                return topic, Outgoing(str(topic), post.payload, qos, _is_retained(topic))
        return None

    def answered(self, topic: Address) -> None:
        """Its last value is with the broker, or will never be."""
        with self._mutex:
            post = self._posts.get(topic)
            if post is None:
                return
            post.on_its_way = False
            if not post.dirty and not (post.payload and _is_retained(topic)):
                del self._posts[topic]

    @property
    def is_clean(self) -> bool:
        """Whether every value is with the broker."""
        with self._mutex:
            waiting = any(post.dirty or post.on_its_way for post in self._posts.values())
            return not (waiting or self._answers)


def _is_retained(topic: Address) -> bool:
    return isinstance(topic, ForeignTopic) or topic.channel.retained
