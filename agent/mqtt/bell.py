"""A bell that one thread rings and another can wait for together with a socket."""

from __future__ import annotations

import contextlib
import os
import select
import threading


class Bell:
    """Rings are not counted: one or many wake the waiting thread once."""

    def __init__(self) -> None:
        # So that nobody rings at a descriptor that is something else by now; reentrant, as a signal's handler may ring.
        self._mutex = threading.RLock()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def fileno(self) -> int:
        """The descriptor that is readable while the bell rings."""
        return self._reader

    def ring(self) -> None:
        """Wake the waiting thread; may be called by any thread, also after closing."""
        with self._mutex, contextlib.suppress(BlockingIOError):  # a full pipe rings already
            if self._writer >= 0:
                os.write(self._writer, b"!")

    def silence(self) -> None:
        """Forget the rings so far."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def wait(self, seconds: float | None) -> None:
        """Wait for a ring and forget it, or for the time to be over."""
        poll = select.poll()  # unlike select() it takes descriptors above 1023
        poll.register(self._reader, select.POLLIN)
        poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
        self.silence()

    def close(self) -> None:
        """Let go of the descriptors; twice is harmless."""
        with self._mutex:
            reader, writer, self._reader, self._writer = self._reader, self._writer, -1, -1
            for descriptor in (reader, writer):
                if descriptor >= 0:
                    os.close(descriptor)
