"""Packs a support bundle: every part cleaned of secrets, cut to a size, and none that fails stops another."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.ground import Ground
from agent.support.known import known_documents, known_secrets
from agent.support.parts import PARTS, Part
from agent.support.scrubber import Scrubber, secrets_of, sources_of
from contracts.errors import EdgetallyError, StorageError

LARGEST_PART = 1_000_000
"""Bytes; of a longer one the end is kept, for that is the newest."""

LARGEST = 8_000_000
"""Bytes of all parts together, before they are compressed."""

_ABOUT = """\
What edgetally-agent support-bundle found. Passwords, keys, and paths and credentials of cameras' addresses were taken
out; names of hosts, addresses and the box's id are in it. Look through it before you send it on.
"""


@dataclass(frozen=True)
class Packed:
    """What was written.

    Args:
        path: of the archive.
        size: of it, in bytes.
        parts: the names of the files in it.
    """

    path: Path
    size: int
    parts: tuple[str, ...]


def pack(
    ground: Ground,
    out: Path,
    note: Callable[[str], None] = lambda _: None,
    *,
    parts: Mapping[str, Part] = PARTS,
    environment: Mapping[str, str] = os.environ,
) -> Packed:
    """Write the archive; nobody but who asks may read it.

    Args:
        ground: of the box.
        out: the file to write; it must not be there.
        note: told what is being done.
        parts: what goes in.
        environment: of the process, and what is secret in it.

    Raises:
        StorageError: it cannot be written.
    """
    scrubber = scrubber_of(ground, environment)
    made = {"README.txt": _ABOUT}
    room = LARGEST
    for name, part in parts.items():
        note(part.doing)
        text = _made(part, ground)
        if text is not None:
            made[name] = _end_of(scrubber.clean(_last_lines(text, 2 * LARGEST_PART)), min(LARGEST_PART, room))
            room -= len(made[name].encode())
    data = _archive(made, out.name.partition(".")[0])
    _write(out, data)
    return Packed(out, len(data), tuple(made))


def file_name(ground: Ground) -> str:
    """What an archive is called: the box and the time."""
    device = "unknown" if ground.config is None else ground.config.device
    return f"edgetally-support-{device}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz"


def scrubber_of(ground: Ground, environment: Mapping[str, str]) -> Scrubber:
    """It knows what is secret now and what was; see `agent.support.known`."""
    documents = list(known_documents(ground))
    secrets = {secret for one in documents for secret in secrets_of(one)} | set(known_secrets(ground, environment))
    return Scrubber(secrets, {source for one in documents for source in sources_of(one)})


def _made(part: Part, ground: Ground) -> str | None:
    try:
        return part.make(ground)
    except EdgetallyError as error:
        return f"it could not be read: {error}\n"
    except Exception as error:  # noqa: BLE001 - the others are packed all the same
        return f"it could not be made ({type(error).__name__}: {error}); this is a bug\n"


def _last_lines(text: str, most: int) -> str:
    """Whole lines: half a secret would be found by nobody."""
    return text if len(text) <= most else text[len(text) - most :].partition("\n")[2]


def _end_of(text: str, most: int) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    return f"(the first {len(data) - most} bytes were left out)\n{data[len(data) - most :].decode(errors='ignore')}"


def _archive(made: Mapping[str, str], folder: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in made.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise StorageError(str(path), error) from error
