"""python-tuf's client over our own transport and disk; imported where it is used, as a box may lack python-tuf.

It works in a folder that is thrown away: what it took is handed back as bytes, for it keeps its files without flushing
them. It opens no connection by itself.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadHTTPError,
    ExpiredMetadataError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.ports import Reply, Transport
from agent.update.trust.rules import LARGEST_ROOT, Floors, check_floors
from agent.update.trust.verify import UNREADABLE, Verified, read_files
from contracts.errors import NotThereError, ServerError
from contracts.release import LARGEST_METADATA, METADATA
from contracts.update import UpdateCode

LARGEST_TIMESTAMP = 16_384  # bytes; python-tuf's own limit, as the next
LARGEST_SNAPSHOT = 2_000_000
MOST_ROOTS = 1024  # that are walked from the first one; python-tuf's own 256 would end a box's life

GRACE_SECONDS = 60.0
SLOWEST = 1000.0
"""Bytes a second that a file has to come with, after `GRACE_SECONDS`: so the largest ends after an hour and a half."""

RETRY_SECONDS = 60.0

_CONFIG = UpdaterConfig(
    max_root_rotations=MOST_ROOTS,
    root_max_length=LARGEST_ROOT,
    timestamp_max_length=LARGEST_TIMESTAMP,
    snapshot_max_length=LARGEST_SNAPSHOT,
    targets_max_length=LARGEST_METADATA,
)
_MEANINGS: tuple[tuple[type[Exception], UpdateCode, str], ...] = (
    (UnsignedMetadataError, "not_trusted", "what the keys signed that the root file leads to"),
    (BadVersionNumberError, "metadata_rollback", "nothing older than was seen before, nor a mixture of states"),
    (ExpiredMetadataError, "metadata_expired", "what is valid now; have it signed anew"),
    (Exception, "metadata_invalid", "what python-tuf reads"),
)
"""What an error of python-tuf means, and what was expected of the metadata."""

_SHOWN = 200  # characters of what python-tuf says, for it quotes what came


@dataclass(frozen=True)
class Visit:
    """What a visit of the repository brought.

    Args:
        files: metadata that python-tuf took and that was not kept yet, by the names of the files.
        verified: what all of it says.
        target: what was looked for; None where there is none.
        problem: why the visit did not come to its end; None where it did.
    """

    files: Mapping[str, bytes]
    verified: Verified
    target: TargetFile | None
    problem: UpdateError | UpdateWaitsError | None


def root_version(anchor: bytes, where: str) -> int:
    """The version of the root that is trusted first.

    Raises:
        UpdateError: it is no root.
    """
    try:
        parsed = Metadata[Root].from_bytes(anchor)
        parsed.signed.verify_delegate("root", parsed.signed_bytes, parsed.signatures)
    except UNREADABLE as error:
        raise UpdateError(
            "no_root",
            f"expected a TUF root in {where}, it cannot be used ({_shown(error)}); "
            "put the root.json there that whoever runs the repository gives out",
        ) from error
    return parsed.signed.version


def visit(anchor: bytes, files: Mapping[str, bytes], transport: Transport, path: str | None) -> Visit:
    """Bring the metadata up to date, and look a target up.

    Args:
        anchor: the root that is trusted first.
        files: metadata that was kept, by name; damaged ones do no harm.
        transport: where newer ones come from.
        path: of the target; None for none.

    Raises:
        OSError: the folder for the time being cannot be written.
        UpdateError: what is signed is beyond all reason.
    """
    with tempfile.TemporaryDirectory(prefix="edgetally-") as name:
        folder = Path(name)
        _lay_out(folder, files)
        fetcher = TransportFetcher(transport)
        updater = Updater(name, METADATA, fetcher=fetcher, config=_CONFIG, bootstrap=anchor)
        target, problem = _walk(updater, fetcher, path)
        roots, others = _roots(folder), _others(folder)
    digests = {version: hashlib.sha256(data).hexdigest() for version, data in roots.items()}
    verified = read_files(roots[max(roots)], digests, others)
    found = {f"{version}.root.json": data for version, data in roots.items()} | others
    new = {name: data for name, data in found.items() if files.get(name) != data}
    return Visit(new, verified, target, problem)


def verified_again(root: bytes | None, floors: Floors, files: Mapping[str, bytes]) -> Verified | None:
    """What was taken before, read from the disk; None where that was damaged since.

    Args:
        root: the newest root that was trusted.
        floors: what was seen then.
        files: the other metadata, by name.
    """
    if root is None or floors.root is None or hashlib.sha256(root).hexdigest() != floors.root.sha256:
        return None
    verified = read_files(root, {floors.root.version: floors.root.sha256}, files)
    try:
        check_floors(verified.seen, floors)
    except UpdateError:
        return None
    return verified if "targets" in verified.targets else None


class TransportFetcher(FetcherInterface):
    """Reads metadata files through the port, whole, within a size and a pace.

    Args:
        transport: where they come from.
        clock: seconds that only go forward.

    Attributes:
        last: what was read last.
        fault: what the transport raised and should not have; none of the repository's doing.
    """

    def __init__(self, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock
        self.last = b""
        self.fault: Exception | None = None

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, LARGEST_METADATA)

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """A file.

        Args:
            url: its path in the repository.
            max_length: bytes that it may have.

        Raises:
            DownloadHTTPError: there is no such file.
            UpdateError: it is too large.
            UpdateWaitsError: nobody answers, or too slowly.
        """
        try:
            reply = self._transport.open(url)
            try:
                self.last = self._read(url, reply, max_length)
            finally:
                reply.close()
        except NotThereError as error:
            raise DownloadHTTPError(str(error), 404) from error
        except ServerError as error:
            raise UpdateWaitsError(str(error), RETRY_SECONDS, "server_unreachable") from error
        except UNREADABLE as error:
            self.fault = error
            raise
        return self.last

    def _read(self, url: str, reply: Reply, limit: int) -> bytes:
        began = self._clock()
        if reply.size is not None and reply.size > limit:
            raise _too_large(url, limit)
        data = bytearray()
        for chunk in reply.chunks:
            data += chunk
            if len(data) > limit:
                raise _too_large(url, limit)
            if self._clock() - began > GRACE_SECONDS + len(data) / SLOWEST:
                raise UpdateWaitsError(
                    f"{url} comes too slowly: expected {SLOWEST:.0f} bytes a second after {GRACE_SECONDS:.0f} s, "
                    f"got {len(data)} bytes in {self._clock() - began:.0f} s; check the link and update.server",
                    RETRY_SECONDS,
                    "server_unreachable",
                )
        return bytes(data)


def _walk(
    updater: Updater, fetcher: TransportFetcher, path: str | None
) -> tuple[TargetFile | None, UpdateError | UpdateWaitsError | None]:
    try:
        updater.refresh()
        return (updater.get_targetinfo(path) if path else None), None
    except (UpdateError, UpdateWaitsError) as error:
        return None, error
    except DownloadHTTPError as error:
        return None, UpdateWaitsError(
            f"the repository is not whole, or update.server is not its address: {error}", RETRY_SECONDS, "server_wrong"
        )
    except UNREADABLE as error:
        if error is fetcher.fault:
            raise
        return None, _meaning(error, fetcher.last)


def _meaning(error: Exception, last: bytes) -> UpdateError:
    """What an error of python-tuf means for an update.

    Args:
        error: it.
        last: the file that was read before it.
    """
    code, expected = next((code, expected) for kind, code, expected in _MEANINGS if isinstance(error, kind))
    ended = f", it ended {_end(last)}" if code == "metadata_expired" and "root" not in str(error) else ""
    return UpdateError(
        code,
        f"{_shown(error)}{ended}; of the metadata is expected {expected}. Check update.server and what is between, or "
        "publish the repository's metadata anew",
    )


def _end(data: bytes) -> str:
    try:
        return f"{Metadata.from_bytes(data).signed.expires:%Y-%m-%dT%H:%M:%SZ}"
    except UNREADABLE:
        return "before"


def _shown(error: Exception) -> str:
    """What an error says, in one line that a log can take."""
    text = "".join(char if char.isprintable() else " " for char in str(error) or type(error).__name__)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _too_large(url: str, limit: int) -> UpdateError:
    return UpdateError(
        "metadata_invalid",
        f"{url} is larger than the {limit} bytes that it may have; check update.server, or publish it anew",
    )


def _lay_out(folder: Path, files: Mapping[str, bytes]) -> None:
    (folder / "root_history").mkdir()
    for name, data in files.items():
        place = folder / "root_history" if name.endswith(".root.json") else folder
        (place / name).write_bytes(data)


def _roots(folder: Path) -> dict[int, bytes]:
    """The roots that python-tuf went through, by version: up to the one that root.json points to."""
    history = {int(path.name.split(".")[0]): path for path in (folder / "root_history").glob("*.root.json")}
    newest = int((folder / "root.json").resolve().name.split(".")[0])
    return {version: path.read_bytes() for version, path in history.items() if version <= newest}


def _others(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json") if path.name != "root.json"}
