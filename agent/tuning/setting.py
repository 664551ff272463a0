"""How an artifact may be run on a box: execution precision, lanes and threads. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from contracts.config import RuntimeConfig
from contracts.documents import MachineModel, Sha256
from contracts.manifest import Artifact

_MOST_LANES = 64  # as `RuntimeConfig` has it
_ON_PROCESSORS = frozenset({"openvino", "onnxruntime", "tflite"})
_ACCELERATOR_LANES = (1, 2, 4)  # one computes while the next is fed


class Setting(MachineModel):
    """An artifact and how it is run.

    Attributes:
        artifact: its id.
        digest: its digest; a bundle built anew may give other bytes the same id.
        execution_precision: what it computes with.
        lanes: inferences at once.
        threads: of each lane.
    """

    artifact: str = Field(max_length=200)
    digest: Sha256
    execution_precision: str = Field(max_length=20)
    lanes: int = Field(ge=1, le=1024)
    threads: int = Field(ge=1, le=1024)

    def __str__(self) -> str:
        return f"{self.artifact} in {self.execution_precision} with {how_many(self.lanes, self.threads)}"

    @property
    def form(self) -> tuple[str, str]:
        """What of it is not a number: the artifact's digest and the execution precision."""
        return self.digest, self.execution_precision


def how_many(lanes: int, threads: int) -> str:
    """``2 lanes of 1 thread``."""
    return f"{lanes} lane{'s' * (lanes > 1)} of {threads} thread{'s' * (threads > 1)}"


def usual_lanes(wanted: RuntimeConfig, cores: int) -> tuple[int, int]:
    """Lanes and threads of who has measured nothing: a lane a core, of one thread, as far as nothing else is wanted."""
    threads = wanted.threads or 1
    return wanted.lanes or max(1, min(_MOST_LANES, cores // threads)), threads


def respects(setting: Setting, wanted: RuntimeConfig) -> bool:
    """Whether it changes nothing that was asked for by name."""
    asked = (
        (wanted.artifact, setting.artifact),
        (wanted.execution_precision, setting.execution_precision),
        (wanted.lanes, setting.lanes),
        (wanted.threads, setting.threads),
    )
    return all(want is None or want == has for want, has in asked)


def lanes_to_try(artifact: Artifact, wanted: RuntimeConfig, cores: int) -> list[tuple[int, int]]:
    """Lanes and threads that are worth measuring for an artifact, at most some twenty; what is wanted is kept.

    On a processor: powers of two of lanes with the threads that fill the cores, fewer lanes of one thread (they may
    suffice, and leave cores alone), and a lane more than cores (it prepares while the others compute).

    Args:
        artifact: what is run.
        wanted: lanes or threads that were asked for.
        cores: of the box.
    """
    pairs = _of_a_processor(cores) if runs_on_processor(artifact) else ((lanes, 1) for lanes in _ACCELERATOR_LANES)
    if wanted.lanes:
        pairs = ((wanted.lanes, threads) for threads in _powers(max(1, cores // wanted.lanes)))
    if wanted.threads:
        fixed = [wanted.lanes] if wanted.lanes else _powers(max(1, cores // wanted.threads))
        pairs = ((lanes, wanted.threads) for lanes in fixed)
    usual = usual_lanes(wanted, cores)
    return list(dict.fromkeys([usual, *(pair for pair in pairs if pair[0] <= _MOST_LANES)]))


def runs_on_processor(artifact: Artifact) -> bool:
    """Whether it computes on the box's processor, not on an accelerator."""
    return artifact.backend in _ON_PROCESSORS and artifact.options.get("device", "CPU") == "CPU"


def _of_a_processor(cores: int) -> Iterator[tuple[int, int]]:
    for lanes in _powers(cores):
        yield lanes, cores // lanes
        yield lanes, 1
    yield cores + 1, 1


def _powers(most: int) -> list[int]:
    """1, 2, 4 ... and ``most`` itself."""
    return [*(1 << exponent for exponent in range((most - 1).bit_length())), most]
