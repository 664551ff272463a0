"""The port `Transport` over files in memory, with what a bad server does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.update.ports import Reply
from contracts.errors import NotThereError, ServerError

_CHUNK = 1000  # bytes


class MetadataServer:
    """A repository's files.

    Args:
        files: by path.

    Attributes:
        asked: the paths that were asked for, in order.
        closed: how many replies were let go of.
        down: nobody answers.
        breaks: the paths whose bodies end in the middle.
        instead: a path to what sends its body, which need not end.
        untold: do not say how large files are.
        before: called with each path before it is answered.
    """

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})
        self.asked: list[str] = []
        self.closed = 0
        self.down = False
        self.breaks: set[str] = set()
        self.instead: dict[str, Callable[[], Iterator[bytes]]] = {}
        self.untold = False
        self.before: Callable[[str], None] = lambda path: None

    def open(self, path: str, start: int = 0, tag: str | None = None) -> Reply:
        self.asked.append(path)
        self.before(path)
        if self.down:
            raise ServerError("https://models.example", "nobody answers", "check update.server")
        if path in self.instead:
            return Reply(0, None, None, self.instead[path](), self._close)
        if path not in self.files:
            raise NotThereError("https://models.example", f"it has no {path}", "check update.server")
        data = self.files[path]
        return Reply(0, None if self.untold else len(data), None, self._chunks(path, data), self._close)

    def _chunks(self, path: str, data: bytes) -> Iterator[bytes]:
        if path in self.breaks:
            yield data[: len(data) // 2]
            raise ServerError("https://models.example", f"{path} ended too early", "check the link")
        yield from (data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK))

    def _close(self) -> None:
        self.closed += 1
