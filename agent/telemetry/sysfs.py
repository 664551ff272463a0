"""Reading the small files of /sys and /proc, which may be missing, hold nonsense, or refuse."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

_PAGE = 4096  # bytes; sysfs gives no more, and of /proc no more is wanted
_NAME_LENGTH = 48
_MOST = 64  # of a kind; a board has some forty thermal zones at the most


def text(path: Path) -> str:
    """The file's first 4 KiB; empty where it cannot be read."""
    try:
        # A pipe in the place of a file must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    try:
        return os.read(descriptor, _PAGE).decode(errors="replace")
    except OSError:
        return ""  # a sensor that is switched off answers with an error
    finally:
        os.close(descriptor)


def integer(path: Path) -> int | None:
    """The whole number that the file holds; None where it holds anything else."""
    content = text(path).strip()
    return int(content) if re.fullmatch(r"[-+]?[0-9]{1,18}", content) else None


def scaled(path: Path, unit: float) -> float | None:
    """The number that the file holds times ``unit``, which makes of the kernel's small units ours."""
    number = integer(path)
    return None if number is None else number * unit


def name(path: Path, instead: str = "") -> str:
    """What the file calls something, with nothing but what is harmless in a key; ``instead`` where it is silent."""
    return harmless(text(path).strip("\0 \t\n")) or instead


def harmless(word: str) -> str:
    """The word as a key: at most 48 letters, digits and ``_.:+-``."""
    return re.sub(r"[^A-Za-z0-9_.:+-]+", "_", word)[:_NAME_LENGTH].strip("_")


def found(root: Path, pattern: str) -> list[Path]:
    """What matches below the root, 9 before 10; at most 64."""
    try:
        matches = list(islice(root.glob(pattern), 16 * _MOST))
    except OSError:
        return []
    return sorted(matches, key=_natural)[:_MOST]


def apart(named: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """The same with names that differ: the second ``fan`` is ``fan_2``."""
    seen: dict[str, int] = {}
    for word, path in named:
        seen[word] = seen.get(word, 0) + 1
        yield (word if seen[word] == 1 else f"{word}_{seen[word]}"), path


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]{1,9})", str(path))]
