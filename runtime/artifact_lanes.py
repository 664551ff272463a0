"""Lanes on all that an artifact consists of: the network on its accelerator and, in a model of several stages, the rest
on the host processor.

What follows there may have shapes that depend on the picture (proposals, RoIAlign), which accelerators do not take.
"""  # noqa: D205 - one sentence

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from contracts.errors import ArtifactError
from contracts.manifest import Artifact
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.bundle import Bundle
from runtime.results import Tensors

HOST_BACKEND = "onnxruntime"
"""Runs every operator of ONNX on a processor, with any shape."""


class StagedLane:
    """One caller's way through both stages.

    Args:
        first: takes the picture.
        rest: takes outputs of the first, by the same names.
        handed_on: which of them.
        shown: whether what is handed on is given out too, for comparing it.
    """

    def __init__(self, first: Lane, rest: Lane, handed_on: Sequence[str], *, shown: bool = False) -> None:
        self._first = first
        self._rest = rest
        self._handed_on = tuple(handed_on)
        self._shown = shown

    def infer(self, tensors: Tensors) -> Tensors:
        """Run both stages once; see `runtime.backends.base.Lane`."""
        features = self._first.infer(tensors)
        missing = [name for name in self._handed_on if name not in features]
        if missing:
            raise ArtifactError(
                f"expected output {missing[0]!r} of the first stage, got {', '.join(features)}; build the bundle again"
            )
        handed = {name: features[name] for name in self._handed_on}
        results = self._rest.infer(handed)
        return {**handed, **results} if self._shown else results

    def close(self) -> None:
        """Let go of both stages' memory; twice is harmless."""
        self._first.close()
        self._rest.close()


def with_rest(
    opened: list[Lane], rest: Path | None, handed_on: Sequence[str], *, threads: int = 1, shown: bool = False
) -> list[Lane]:
    """Lanes on the first stage become lanes on the whole model; as they are where there is no rest.

    Args:
        opened: lanes on the first stage; they are closed where the rest does not open.
        rest: the file of what follows on the host processor.
        handed_on: names of the outputs that go from the one to the other.
        threads: of each lane of the rest.
        shown: see `StagedLane`.

    Raises:
        RuntimeMissingError: the host processor's runtime is not installed here.
        ArtifactError: it refuses the file.
    """
    if rest is None:
        return opened
    with ExitStack() as closing:
        for lane in opened:
            closing.callback(lane.close)
        rests = open_lanes(HOST_BACKEND, rest, lanes=len(opened), threads=threads)
        closing.pop_all()
    return [StagedLane(*pair, handed_on, shown=shown) for pair in zip(opened, rests, strict=True)]


def open_artifact_lanes(
    bundle: Bundle,
    artifact: Artifact,
    *,
    execution_precision: str,
    lanes: int = 1,
    threads: int = 1,
    entry: Path | None = None,
) -> list[Lane]:
    """Lanes on everything that an artifact consists of.

    Args:
        bundle: where it is.
        artifact: of the bundle.
        execution_precision: what its first stage computes with.
        lanes: how many callers there will be at once.
        threads: threads a lane.
        entry: what is opened instead of the artifact's own entry: the engine that was built of it.

    Raises:
        BundleError: a file is missing or changed.
        UnknownNameError: no such backend.
        RuntimeMissingError: a runtime is not installed here.
        ArtifactError: a runtime refuses its file.
        DeviceError: this box cannot run it so.
    """
    model_file, rest = entry or bundle.entry(artifact), bundle.host_entry(artifact)
    opened = open_lanes(
        artifact.backend,
        model_file,
        execution_precision=execution_precision,
        lanes=lanes,
        threads=threads,
        options=artifact.options,
    )
    return with_rest(opened, rest, handed_on(artifact), threads=threads)


def handed_on(artifact: Artifact) -> tuple[str, ...]:
    """Names of what goes from the first stage to the host's; none where there is one stage."""
    return tuple(tensor.name for tensor in artifact.host_stage.inputs) if artifact.host_stage else ()
