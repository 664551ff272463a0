"""The errors that edgetally raises on purpose; each says what was expected, what came and what to do.

::

    EdgetallyError
    ├── WrittenError            a person wrote something that cannot be used
    │   ├── DocumentError       a document (model.toml, agent.toml, a flag) does not fit its model
    │   └── UnknownNameError    a name that is in no table (target, decoder, backend, command)
    ├── ArtifactError           a model, bundle or artifact is wrong
    │   ├── ModelFileError      the ONNX (or IR) cannot be taken as it is
    │   ├── BundleError         the bundle is incomplete or was changed
    │   ├── ParityError         a converted artifact does not compute what its reference does
    │   ├── GoldenError         an artifact fails its golden self-test on this box
    │   └── NoArtifactFitsError no artifact of the bundle fits this box
    ├── TransportError          the other side or the network
    │   ├── BrokerError         the broker cannot be reached, or refuses (with its reason code)
    │   └── ServerError         a web server cannot be reached, or sends something else than was asked for
    │       └── NotThereError   it answers, and does not have the file
    └── DeviceError             this box
        ├── CameraError         a source does not open, or ended
        ├── RuntimeMissingError an inference runtime or an extra is not installed
        ├── ToolchainMissingError a converter's isolated toolchain is not installed, or cannot be
        ├── StorageError        a disk is full, read-only or not writable
        └── PortInUseError      an address that should be listened on is taken

A bug is none of these: it stays a ``RuntimeError``, ``TypeError`` or the like, with its traceback.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from typing import ClassVar


class EdgetallyError(Exception):
    """Base of all errors that a caller can act on; the text is one sentence for a person."""

    exit_code: ClassVar[int] = 2


class WrittenError(EdgetallyError):
    """A person wrote something that cannot be used."""


class DocumentError(WrittenError):
    """A document does not fit its model.

    Args:
        where: the file, flag or message that was read.
        problems: one sentence a problem, each beginning with the path inside the document.
    """

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        super().__init__(f"{where}: " + "; ".join(self.problems))


class UnknownNameError(WrittenError):
    """A name that is in no table.

    Args:
        kind: what was looked for, in the singular ("target").
        name: the name that came.
        known: the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(
            f"unknown {kind} {name!r}; expected one of {', '.join(self.known)}{did_you_mean(name, self.known)}"
        )


class ArtifactError(EdgetallyError):
    """A model, bundle or artifact is wrong."""


class ModelFileError(ArtifactError):
    """The model file cannot be taken as it is."""


class BundleError(ArtifactError):
    """The bundle is incomplete or was changed."""


class ParityError(ArtifactError):
    """A converted artifact does not compute what its reference computes."""


class GoldenError(ArtifactError):
    """An artifact fails its golden self-test on this box."""


class NoArtifactFitsError(ArtifactError):
    """No artifact of the bundle fits this box.

    Args:
        bundle: name of the bundle.
        refusals: artifact id to the reason why it was refused.
    """

    def __init__(self, bundle: str, refusals: dict[str, str]) -> None:
        self.refusals = dict(refusals)
        reasons = "; ".join(f"{artifact}: {reason}" for artifact, reason in self.refusals.items())
        super().__init__(
            f"no artifact of bundle {bundle!r} fits this box ({reasons or 'it holds none'}); "
            "build one with `edgetally-convert build MODEL_DIR --target NAME` "
            "(`edgetally-convert targets` lists the names)"
        )


class TransportError(EdgetallyError):
    """The other side, or the network between."""


class BrokerError(TransportError):
    """The MQTT broker cannot be reached or refuses.

    Args:
        broker: ``host:port``.
        problem: what it said, with its reason code where it gave one.
        do: what a person can do about it.
    """

    def __init__(self, broker: str, problem: str, do: str) -> None:
        self.broker = broker
        self.problem = problem
        super().__init__(f"broker {broker}: {problem}; {do}")


class ServerError(TransportError):
    """A web server, or a folder in its place, cannot be reached, or sends something else than was asked for.

    Args:
        where: its address, without credentials, or the folder.
        problem: what was expected and what came.
        do: what a person can do about it.
    """

    def __init__(self, where: str, problem: str, do: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}; {do}")


class NotThereError(ServerError):
    """It answers, and does not have the file."""


class DeviceError(EdgetallyError):
    """This box lacks or refuses something."""


class CameraError(DeviceError):
    """A source does not open, or stopped giving frames.

    Args:
        camera: the camera's id, or the source without its credentials.
        problem: what was expected and what came.
        do: what a person can do about it.
    """

    def __init__(self, camera: str, problem: str, do: str) -> None:
        self.camera = camera
        self.problem = problem
        super().__init__(f"camera {camera}: {problem}; {do}")


class RuntimeMissingError(DeviceError):
    """A package that this work needs is not installed here.

    Args:
        what: what needs it ("backend 'openvino'").
        package: the import name that is missing.
        extra: the extra of edgetally that brings it.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{what} needs the package {package!r}, which is not installed here; run: pip install 'edgetally[{extra}]'"
        )


class ToolchainMissingError(DeviceError):
    """An isolated toolchain of the converter is not installed here, or cannot be.

    Args:
        toolchain: its name.
        problem: what is missing or failed.
        do: what a person can do about it.
    """

    def __init__(self, toolchain: str, problem: str, do: str) -> None:
        self.toolchain = toolchain
        super().__init__(f"toolchain {toolchain}: {problem}; {do}")


class StorageError(DeviceError):
    """A disk is full, read-only or not writable.

    Args:
        path: the file or folder that could not be written.
        error: what the operating system said.
    """

    _CURES: ClassVar[dict[int, str]] = {
        errno.ENOSPC: "free some space or choose another folder",
        errno.EDQUOT: "free some space or choose another folder",
        errno.EROFS: "mount it writable or choose another folder",
        errno.EACCES: "give this user the right to write there or choose another folder",
        errno.EPERM: "give this user the right to write there or choose another folder",
    }

    def __init__(self, path: str, error: OSError) -> None:
        self.path = path
        self.errno = error.errno
        cure = self._CURES.get(error.errno or 0, "choose another folder")
        super().__init__(f"cannot write {path}: {error.strerror or error}; {cure}")


class PortInUseError(DeviceError):
    """An address that should be listened on is taken.

    Args:
        address: ``host:port``.
        do: which option chooses another one.
    """

    def __init__(self, address: str, do: str) -> None:
        self.address = address
        super().__init__(f"cannot listen on {address}: the address is in use; {do}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known name, or an empty string where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
