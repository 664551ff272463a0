"""The port that every backend implements."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from contracts.errors import DeviceError
from runtime.results import Tensors


class Lane(Protocol):
    """A way through a runtime with its own buffers and context: one caller at a time, the GIL released."""

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once.

        Args:
            tensors: one array an input, by name; uint8 ``(1, height, width, 3)`` BGR for our artifacts.

        Returns:
            One array an output, by name, valid until the next call.

        Raises:
            ArtifactError: a name, shape or type is not the artifact's.
        """

    def close(self) -> None:
        """Let go of the runtime's memory; twice is harmless."""


class Backend(Protocol):
    """What a backend's module holds."""

    def open_lanes(
        self, model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
    ) -> list[Lane]:
        """Load an artifact once and open lanes on it.

        Args:
            model_file: the artifact's entry file.
            execution_precision: what the runtime must compute with ("f32", "bf16"); it is set and read back.
            lanes: how many callers there will be at once.
            threads: threads a lane.
            options: the artifact's, each of which is honoured or refused.

        Raises:
            ArtifactError: the runtime refuses the file.
            DeviceError: this box cannot run it so (another precision, say), or an option is unknown.
        """


def check_options(backend: str, options: Mapping[str, str], known: Collection[str] = ()) -> None:
    """Refuse options that a backend does not know, rather than ignore them.

    Raises:
        DeviceError: one is unknown.
    """
    strange = sorted(options.keys() - set(known))
    if strange:
        knows = ", ".join(sorted(known)) or "none"
        raise DeviceError(
            f"backend {backend!r} knows the options {knows}, the artifact asks for {strange[0]!r}; update edgetally"
        )
