"""A connection to a broker that takes some documents, and refuses others."""

from __future__ import annotations

from collections.abc import Collection


class FakeSession:
    """Publishes like `fleet.mqtt.Session`; the topics named in ``forbidden`` are refused."""

    def __init__(self, forbidden: Collection[str] = ()) -> None:
        self.forbidden = forbidden
        self.published: list[str] = []
        self._answers: dict[bool, list[int]] = {True: [], False: []}

    def publish(self, topic: str, payload: bytes) -> int:
        assert payload
        self.published.append(topic)
        mid = len(self.published)
        self._answers[topic not in self.forbidden].append(mid)
        return mid

    def confirmed(self) -> list[int]:
        return self._told(taken=True)

    def refused(self) -> list[int]:
        return self._told(taken=False)

    def _told(self, *, taken: bool) -> list[int]:
        told, self._answers[taken] = self._answers[taken], []
        return told
