"""A repository that breaks off, lies, or is away, as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agent.update.errors import WrongAnswerError
from agent.update.ports import Reply
from contracts.errors import NotThereError, ServerError


@dataclass
class FakeMirror:
    """One of the places where the files are.

    Attributes:
        files: path to bytes.
        tag: of every file.
        away: does not answer.
        wrong: answers with something else.
        breaks: after so many bytes of each answer, the rest of the list goes to those after; None: not.
        size: that it claims; None: the file's.
        ranges: gives the rest of a file when asked for it.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    tag: str | None = '"1"'
    away: bool = False
    wrong: bool = False
    breaks: list[int | None] = field(default_factory=list)
    size: int | None = None
    says_size: bool = True
    ranges: bool = True


class FakeTransport:
    """Asks its mirrors in turn; one that is blamed is asked last.

    Args:
        mirrors: in the order in which they are asked.
        chunk: bytes that come at once.

    Attributes:
        asked: path and offset of each question.
        closed: answers that were let go.
        during: called before every chunk.
    """

    def __init__(self, *mirrors: FakeMirror, chunk: int = 10) -> None:
        self.mirrors = list(mirrors)
        self.chunk = chunk
        self.asked: list[tuple[str, int]] = []
        self.blamed: list[FakeMirror] = []
        self.closed = 0
        self.during: Callable[[], object] = lambda: None

    def open(self, path: str, start: int = 0, tag: str | None = None) -> Reply:
        self.asked.append((path, start))
        missing = False
        for mirror in self.mirrors:
            if mirror.wrong:
                raise WrongAnswerError("fake", "expected the file, got a log-in page", "log in")
            if not mirror.away and path in mirror.files:
                return self._reply(mirror, path, start, tag)
            missing = missing or not mirror.away
        if missing:
            raise NotThereError("fake", f"there is no {path}", "publish it")
        raise ServerError("fake", "no answer", "plug it in")

    def _reply(self, mirror: FakeMirror, path: str, start: int, tag: str | None) -> Reply:
        data = mirror.files[path]
        if not mirror.ranges or start > len(data) or tag not in {None, mirror.tag}:
            start = 0
        size = (len(data) if mirror.size is None else mirror.size) if mirror.says_size else None
        return Reply(
            start, size, mirror.tag, self._chunks(mirror, data[start:]), self._close, lambda: self._blame(mirror)
        )

    def _chunks(self, mirror: FakeMirror, rest: bytes) -> Iterator[bytes]:
        breaks = mirror.breaks.pop(0) if mirror.breaks else None
        for at in range(0, len(rest), self.chunk):
            self.during()
            if breaks is not None and at >= breaks:
                raise ServerError("fake", "the connection ended", "wait")
            yield rest[at : at + self.chunk]

    def _close(self) -> None:
        self.closed += 1

    def _blame(self, mirror: FakeMirror) -> None:
        self.blamed.append(mirror)
        self.mirrors.remove(mirror)
        self.mirrors.append(mirror)
