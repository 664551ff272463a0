"""Where the passphrases of private keys come from: a file, the environment, or who sits at the terminal.

They are never an argument of a command, for other users of the machine see those.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fleet.publishing.errors import KeyFileError

FILE_VARIABLE = "EDGETALLY_KEY_PASSPHRASE_FILE"
VARIABLE = "EDGETALLY_KEY_PASSPHRASE"
SHORTEST = 12  # characters: whoever copies the file can try millions of passphrases

Ask = Callable[[str], str]
"""Asks a person, without showing what is typed."""


class Passphrases:
    """The passphrases that are known, and whom to ask for others.

    Args:
        ask: a person; None where nobody is there.
    """

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._known: list[str] = []

    def tries(self, key: str) -> Iterator[str]:
        """What may open a key, best guess first.

        Args:
            key: its file, for who is asked.

        Raises:
            KeyFileError: the file with the passphrase cannot be read.
        """
        yield from self._given()
        yield from self._known
        if self._ask is not None:
            typed = self._ask(f"Passphrase of {key}: ")
            self._known.append(typed)
            yield typed

    def new(self) -> str:
        """One for keys that are made now.

        Raises:
            KeyFileError: there is none, it is too short, or was typed differently the second time.
        """
        passphrase = next(iter(self._given()), None)
        if passphrase is None:
            passphrase = self._typed_twice()
        if len(passphrase) < SHORTEST:
            raise KeyFileError(
                "passphrase", f"expected at least {SHORTEST} characters, got {len(passphrase)}", "choose a longer one"
            )
        return passphrase

    def _given(self) -> Iterator[str]:
        if path := os.environ.get(FILE_VARIABLE):
            try:
                yield Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                said = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
                raise KeyFileError(path, f"cannot be read ({said})", f"mend what {FILE_VARIABLE} names") from error
        if passphrase := os.environ.get(VARIABLE):
            yield passphrase

    def _typed_twice(self) -> str:
        if self._ask is None:
            raise KeyFileError(
                "passphrase",
                "none was given and no terminal is there to ask at",
                f"name a file that holds it in {FILE_VARIABLE}, or say --unencrypted",
            )
        typed = self._ask("Passphrase for the new keys: ")
        if self._ask("The same again: ") != typed:
            raise KeyFileError("passphrase", "the second one differs from the first", "try again")
        self._known.append(typed)
        return typed


def passphrases() -> Passphrases:
    """Those of this process; a person is asked where standard input is a terminal."""
    return Passphrases(getpass.getpass if sys.stdin is not None and sys.stdin.isatty() else None)
