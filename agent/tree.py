"""Reading files of a board's file tree, which may be missing, damaged or endless."""

from __future__ import annotations

from pathlib import Path

_LARGEST = 32 << 20  # bytes; dpkg's status file has a few MB


def read_text(path: Path) -> str:
    """The file's text, its first 32 MiB at most; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode(errors="replace")
    except OSError:
        return ""
