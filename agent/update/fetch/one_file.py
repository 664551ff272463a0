"""Fetching one file: gone on with where it broke off, begun anew where it is not what it must be, given up in time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from agent.backoff import Backoff
from agent.update.errors import UpdateError, UpdateStoppedError, UpdateWaitsError, WrongAnswerError
from agent.update.fetch.pace import Bandwidth, Progress, Time
from agent.update.partial import Partial
from agent.update.ports import Download, Reply, Stopped, Transport
from contracts.errors import NotThereError, ServerError
from contracts.update import UpdateCode

_FRUITLESS = 5  # tries in a row that bring nothing new
_WRONG = 2  # whole downloads with another digest: a second one from elsewhere, then it is the release that is wrong

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """What all files of a fetch share.

    Args:
        transport: where they come from.
        time: time and chance.
        bandwidth: how fast they may come.
        progress: told what came.
        stopped: whether to end.
        check: raises where nothing may be fetched now; called before every chunk.
        again: seconds until a fetch that had to end is worth another try.
    """

    transport: Transport
    time: Time
    bandwidth: Bandwidth
    progress: Progress
    stopped: Stopped
    check: Callable[[], None]
    again: Callable[[], float]


class OneFile:
    """One file on its way.

    Args:
        means: shared with the others.
        download: which.
        partial: where it goes.
    """

    def __init__(self, means: Means, download: Download, partial: Partial) -> None:
        self._means = means
        self._download = download
        self._partial = partial
        self._size = download.blob.size
        self._backoff = Backoff(0.5, 30.0, chance=means.time.chance)
        self._fruitless = 0
        self._farthest = 0
        self._wrong = 0
        self._blame: Callable[[], None] = lambda: None  # of the newest reply

    def fetch(self) -> None:
        """Have it on the shelf.

        Raises:
            UpdateError: it is not what it must be.
            UpdateWaitsError: nobody gives it; what came is kept.
            UpdateStoppedError: it was to end; what came is kept.
            OSError: the disk fails.
        """
        self._partial.begin(self._means.check)
        # What was kept may be a piece of something else: only a file that comes whole can be said to be wrong.
        self._wrong = -1 if self._partial.done else 0
        self._farthest = self._partial.done
        self._means.progress.there(self._partial.done)
        try:
            while not self._is_whole():
                self._try()
        except (UpdateStoppedError, UpdateWaitsError):
            self._partial.keep()
            raise

    def _is_whole(self) -> bool:
        if self._partial.done < self._size:
            return False
        if not self._partial.finish():
            self._mismatch()
            return False
        self._means.progress.finished(self._size)
        return True

    def _try(self) -> None:
        try:
            self._receive()
        except ServerError as error:
            self._failed(error)

    def _receive(self) -> None:
        """Take what one answer gives of the rest."""
        self._means.check()
        start = self._partial.done
        reply = self._means.transport.open(self._download.path, start, self._partial.tag)
        self._blame = reply.blame
        try:
            self._check_head(reply, start)
            if reply.start != start:
                self._partial.restart()
            self._partial.tag = reply.tag
            for chunk in reply.chunks:
                self._take(chunk)
        finally:
            reply.close()
        if self._partial.done < self._size:
            problem = f"expected {self._size} bytes, got {self._partial.done}"
            raise WrongAnswerError(self._download.path, problem, "publish the file again")

    def _check_head(self, reply: Reply, start: int) -> None:
        if reply.size not in {None, self._size}:
            self._blame()
            problem = f"expected a file of {self._size} bytes, got one of {reply.size}"
            raise WrongAnswerError(self._download.path, problem, "publish the file again, or see who answers for it")
        if reply.start not in {0, start}:
            self._blame()
            problem = f"expected the bytes from {start} on, got those from {reply.start} on"
            raise WrongAnswerError(self._download.path, problem, "see who answers for it")

    def _take(self, chunk: bytes) -> None:
        self._means.check()
        if self._partial.done + len(chunk) > self._size:
            self._blame()
            self._partial.throw_away()
            problem = f"expected {self._size} bytes, got more"
            raise WrongAnswerError(self._download.path, problem, "publish the file again, or see who answers for it")
        self._partial.add(chunk)
        if self._partial.done > self._farthest:
            self._farthest = self._partial.done
            self._fruitless = 0
        self._means.progress.there(self._partial.done, len(chunk))
        self._means.time.wait_for(self._means.bandwidth.take(len(chunk)), self._means.stopped)

    def _failed(self, error: ServerError) -> None:
        """Wait a little for the next try, or give up for a while."""
        if self._partial.done >= self._size:  # it broke off behind the last byte
            return
        self._fruitless += 1
        if self._fruitless > _FRUITLESS or isinstance(error, NotThereError):
            answered = isinstance(error, NotThereError | WrongAnswerError)
            code: UpdateCode = "server_wrong" if answered else "server_unreachable"
            raise UpdateWaitsError(str(error), self._means.again(), code) from error
        _log.info("%s; it is tried again", error)
        if self._fruitless == 1:
            self._backoff.reset()
        self._means.time.wait_for(self._backoff.next(), self._means.stopped)

    def _mismatch(self) -> None:
        self._wrong += 1
        self._blame()
        self._partial.throw_away()
        if self._wrong >= _WRONG:
            raise UpdateError(
                "digest_mismatch",
                f"{self._download.path} is not what its manifest says (expected SHA-256 {self._download.blob.sha256}), "
                f"{_WRONG} times; publish the file again",
            )
        _log.warning("%s came with another digest than expected; it is fetched again", self._download.path)
        self._farthest = 0
