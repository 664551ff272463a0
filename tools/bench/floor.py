"""What the floor's process is told: all that it would have to ask our contracts for."""

from __future__ import annotations

from contracts.documents import MachineModel
from runtime.bundle import Bundle
from runtime.prepare import place
from tools.bench.clip import HEIGHT, RATE, WIDTH


class Floor(MachineModel):
    """One measurement of the bare runtime.

    Attributes:
        model: file that the runtime opens.
        backend: which runtime.
        input: name of its input.
        shape: of it.
        placement: left, top, width and height of the picture in it.
        pad: grey level around the picture.
        source: what each camera reads.
        rate: frames a second of it.
        live: whether it comes at its own rate.
        realtime: play a file at its own rate.
        cameras: how many.
        seconds: how long is measured; None until the end of the source.
        warm: seconds before that, from the first result on.
        lanes: inferences at once.
        alone: infer one picture again and again.
        started: monotonic seconds at which the process was started.
    """

    model: str
    backend: str
    input: str
    shape: tuple[int, ...]
    placement: tuple[int, int, int, int]
    pad: int
    source: str
    rate: float = RATE
    live: bool = False
    realtime: bool = False
    cameras: int = 1
    seconds: float | None = None
    warm: float = 0.0
    lanes: int
    alone: bool = False
    started: float


def floor_of(bundle: Bundle, artifact: str, source: str, lanes: int, started: float) -> Floor:
    """One camera read to its end.

    Args:
        bundle: an open bundle.
        artifact: of it; of one stage.
        source: 1080p, a file or an address.
        lanes: inferences at once.
        started: as of `Floor`.
    """
    chosen, spec = bundle.artifact(artifact), bundle.manifest.model.input
    (tensor,) = chosen.inputs
    placed = place(spec, WIDTH, HEIGHT)
    return Floor(
        model=str(bundle.entry(chosen)),
        backend=chosen.backend,
        input=tensor.name,
        shape=tensor.shape,
        placement=(placed.left, placed.top, placed.width, placed.height),
        pad=spec.pad_value,
        source=source,
        lanes=lanes,
        started=started,
    )
