"""What an update needs from elsewhere: where files come from, and which of them may be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from contracts.release import Blob, ReleaseInfo

Stopped = Callable[[], bool]
"""Whether a step should end before its time, with `agent.update.errors.UpdateStoppedError`."""

Note = Callable[[str, float | None], None]
"""Told how far a step is: in words, and as a fraction of 0 to 1 where that is known."""


@dataclass(frozen=True)
class Reply:
    """The body of a file, or the rest of it.

    Args:
        start: offset in bytes of the first of `chunks`; 0 where the whole file comes although the rest was asked for.
        size: bytes of the whole file; None where the other side does not say.
        tag: what the other side calls this very content (a strong ETag); None where it calls it nothing.
        chunks: the bytes, as they come; raises `contracts.errors.ServerError` where they end too early.
        close: lets go of the connection; to be called at the end, however it came.
        blame: told that these bytes are not what they must be, so that the next `Transport.open` asks somebody else,
            where there is anybody else.
    """

    start: int
    size: int | None
    tag: str | None
    chunks: Iterator[bytes]
    close: Callable[[], None]
    blame: Callable[[], None] = lambda: None


class Transport(Protocol):
    """Files of a repository, by their paths below its top: a web server and its mirrors, or a folder."""

    def open(self, path: str, start: int = 0, tag: str | None = None) -> Reply:
        """Begin to read a file.

        Args:
            path: relative, with ``/``; ``blobs/ab/ab12…``.
            start: offset in bytes to begin at.
            tag: of the content that was begun with; where it is another one now the whole file comes.

        Raises:
            NotThereError: there is no such file.
            ServerError: nobody answers, or not with the file.
        """


@dataclass(frozen=True)
class Release:
    """A released bundle, signed by who may release this model.

    Args:
        info: what is known of it before it is fetched.
        manifest: the bytes of its manifest.json.
        path: of the manifest in the repository, for `Transport`.
    """

    info: ReleaseInfo
    manifest: Blob
    path: str


class Releases(Protocol):
    """What is released; metadata that was verified."""

    def refresh(self) -> None:
        """Take the newest metadata.

        Raises:
            UpdateError: it is not trusted, or out of date.
            UpdateWaitsError: nobody answers.
        """

    def find(self, model: str, version: str) -> Release:
        """One release.

        Raises:
            UpdateError: there is none, or it was withdrawn.
            UpdateWaitsError: nobody answers.
        """


@dataclass(frozen=True)
class Download:
    """A file to fetch.

    Args:
        path: in the repository.
        blob: what it must be.
    """

    path: str
    blob: Blob


class Fetcher(Protocol):
    """Brings files onto the shelf."""

    def fetch(self, downloads: Sequence[Download], note: Note, stopped: Stopped) -> None:
        """Have all of them on the shelf, whole and verified; what is there already is not fetched again.

        Raises:
            UpdateError: no space, or the files are not what they must be.
            UpdateWaitsError: nobody answers; what came is kept, and gone on with.
            UpdateStoppedError: `stopped` said so.
        """
