"""``python -m tools.bench.dispatch``: what it costs to hand many cameras' frames to the lanes, with an empty model."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from typing import Annotated

import numpy as np
import typer

from agent.cameras.frame import Frame
from agent.cameras.slot import FrameSlot
from agent.lanes import LanePool, Stream
from agent.model import LoadedModel
from agent.view import ViewWatch
from contracts.manifest import Artifact, TensorInfo
from contracts.model_spec import ModelSpec
from runtime.console import run_program
from runtime.decoders.table import open_decoder
from runtime.environment import host_name
from runtime.prepare import Placement, place
from runtime.results import Picture, Result, Tensors
from runtime.synthetic_road import RoadSettings, SyntheticRoad

app = typer.Typer(pretty_exceptions_enable=False)

_SIDE = 384
_PICTURES = 30


class _EmptyLane:
    """A network that takes no time."""

    def __init__(self) -> None:
        self._outputs: Tensors = {"density": np.zeros((1, 1, 48, 48), np.float32)}

    def infer(self, _: Tensors) -> Tensors:
        """The same outputs every time."""
        return self._outputs

    def close(self) -> None:
        """Nothing is held."""


class _Camera:
    """Puts pictures into a slot at its rate, and notes how long each took to come out of the lanes."""

    def __init__(self, number: int, ready: threading.Condition, spec: ModelSpec, pictures: list[Picture]) -> None:
        self.waits: list[float] = []
        self._ready = ready
        self._number = number
        self._pictures = pictures
        self._view = ViewWatch(60.0)
        self.slot = FrameSlot(keep_all=False, on_ready=self._notify)
        self.stream = Stream(self.slot, open_decoder, self._take, self._is_worth)
        self._placement: Placement = place(spec.input, 1920, 1080)

    def feed(self, fps: float, seconds: float) -> None:
        begun = time.monotonic() + self._number * 0.002
        for index in range(int(seconds * fps)):
            time.sleep(max(0.0, begun + index / fps - time.monotonic()))
            now = time.monotonic()
            picture = self._pictures[(index + self._number) % _PICTURES]
            self.slot.put(Frame(picture, self._placement, index, now, now, now))

    def _notify(self) -> None:
        with self._ready:
            self._ready.notify()

    def _take(self, frame: Frame, _: Result | None) -> None:
        self.waits.append(time.monotonic() - frame.captured_at)

    def _is_worth(self, frame: Frame) -> bool:
        return self._view.look(frame.image, frame.shown_at) is None


@app.command()
def dispatch(
    cameras: Annotated[int, typer.Option(min=1)] = 16,
    fps: Annotated[float, typer.Option(min=1)] = 30.0,
    lanes: Annotated[int, typer.Option(min=1)] = 2,
    seconds: Annotated[float, typer.Option(min=1)] = 10.0,
) -> None:
    """Feed the lanes and show the CPU time a frame, from the slot to the result, and how long frames waited."""
    document = {"name": "empty", "version": "1.0.0", "labels": ["x"], "output": {"decoder": "density"}}
    spec = ModelSpec.model_validate(document | {"input": {"width": _SIDE, "height": _SIDE}})
    road = SyntheticRoad(RoadSettings(width=_SIDE, height=_SIDE))
    pictures = [np.ascontiguousarray(road.frame(index)) for index in range(_PICTURES)]
    ready = threading.Condition()
    watched = [_Camera(number, ready, spec, pictures) for number in range(cameras)]
    pool = LanePool([one.stream for one in watched], ready)
    pool.switch(LoadedModel(spec, _artifact(), "f32", tuple(_EmptyLane() for _ in range(lanes))))
    feeders = [threading.Thread(target=one.feed, args=(fps, seconds)) for one in watched]
    cpu = time.process_time()
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join()
    pool.stop()
    cpu = time.process_time() - cpu
    waits = [wait * 1e3 for one in watched for wait in one.waits]
    late = sum(one.slot.dropped for one in watched)
    p50, p99 = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
    typer.echo(
        f"{host_name()}; {cameras} cameras at {fps:g} fps, {lanes} lanes: {len(waits)} frames, {late} late, "
        f"{cpu / len(waits) * 1e3:.2f} ms of CPU a frame, from slot to result p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    )


def _artifact() -> Artifact:
    tensors = (TensorInfo(name="image", dtype="uint8", shape=(1, _SIDE, _SIDE, 3)),)
    return Artifact(
        id="empty/fp32",
        target="empty",
        backend="null",
        precision="fp32",
        files=(),
        entry="",
        requires=(),
        inputs=tensors,
        outputs=(),
    )


if __name__ == "__main__":
    sys.exit(run_program(app))
