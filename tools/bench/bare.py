"""The floor: the loop that a user writes in some 40 lines, with PyAV, the runtime's own API, threads and nothing else.

Nothing of ours is imported, so that its memory is what such a program takes. It decodes and scales as the agent does
(one thread a stream, swscale's AREA), and gives the runtime the lanes and threads that the agent gives it. A picture
that was not inferred yet is replaced by the next of its camera in real time, and waited for otherwise. With ``alone``
nothing is decoded either: the runtime infers one picture again and again. Whatever fails ends it with its traceback: a
thread that is gone must not be waited for.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation

Plan = dict[str, Any]  # tools.bench.job.Floor as JSON
Infer = Callable[[Any], object]

_ALONE_FRAMES = 300
_SILENCE = 10.0  # seconds after which a stream that sends nothing is given up; FFmpeg's own patience has no end


class Newest:
    """Each camera's newest picture with the time at which it was taken, handed to whichever lane is free."""

    def __init__(self, *, replaces: bool) -> None:
        self.dropped = 0
        self._replaces = replaces
        self._pictures: dict[int, tuple[Any, float]] = {}
        self._changed = threading.Condition()
        self._ended = False

    def put(self, camera: int, picture: Any, taken: float) -> None:  # noqa: ANN401 - an array, whose type numpy hides
        """Leave a picture."""
        with self._changed:
            if not self._replaces:
                self._changed.wait_for(lambda: camera not in self._pictures or self._ended)
            self.dropped += camera in self._pictures
            self._pictures[camera] = (picture, taken)
            self._changed.notify_all()

    def take(self) -> tuple[Any, float] | None:
        """The picture that waits for longest; None once it has ended and none waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._pictures or self._ended)
            if not self._pictures:
                return None
            picture = self._pictures.pop(next(iter(self._pictures)))
            self._changed.notify_all()
            return picture

    def end(self) -> None:
        """No more pictures come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Threads:
    """The loop's threads; the first that fails ends the others.

    Attributes:
        stop: set once they are to end.
    """

    def __init__(self, newest: Newest) -> None:
        self.stop = threading.Event()
        self._newest = newest
        self._faults: list[BaseException] = []

    def start(self, step: Callable[[], None]) -> threading.Thread:
        """Run something in a thread of its own."""
        thread = threading.Thread(target=self._run, args=(step,))
        thread.start()
        return thread

    def end(self) -> None:
        """Have all come to their end."""
        self.stop.set()
        self._newest.end()

    def check(self) -> None:
        """Raise what the first raised that failed."""
        if self._faults:
            raise self._faults[0]

    def _run(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._faults.append(error)
            self.end()


def measure(plan: Plan) -> dict[str, Any]:
    """Run every camera through the bare runtime; what it saw as `tools.bench.job.Measured`."""
    begun = time.monotonic()
    lanes = _RUNTIMES[plan["backend"]](plan)
    loaded, cpu = time.monotonic(), time.process_time()
    newest = Newest(replaces=plan["realtime"] or plan["live"])
    done: list[tuple[float, float]] = []  # when it was inferred, and its age then
    read = _repeat if plan["alone"] else _decode
    threads = Threads(newest)
    workers = [threads.start(partial(_work, newest, infer, done)) for infer in lanes]
    cameras = [threads.start(partial(read, plan, n, newest, threads.stop)) for n in range(plan["cameras"])]
    if plan["seconds"] is not None:
        while not done and not threads.stop.wait(0.01):
            pass
        threads.stop.wait(plan["warm"] + plan["seconds"])
        threads.end()
    for thread in cameras:
        thread.join()
    newest.end()
    for thread in workers:
        thread.join()
    threads.check()
    return _measured(plan, begun, loaded, time.process_time() - cpu, newest.dropped, done)


def _measured(
    plan: Plan, begun: float, loaded: float, cpu: float, dropped: int, done: list[tuple[float, float]]
) -> dict[str, Any]:
    first = done[0][0] + (plan["warm"] if plan["seconds"] is not None else 0.0)
    last = first + plan["seconds"] if plan["seconds"] is not None else done[-1][0]
    ages = [age * 1e3 for at, age in done if first <= at <= last]
    cuts = {f"p{cut}": round(float(np.percentile(ages, cut)), 3) for cut in (50, 90, 95, 99)}
    return {
        "frames": len(ages),
        "seconds": last - first,
        "cpu_seconds": cpu,
        "cpu_frames": len(done),
        "load": loaded - begun,
        "first": done[0][0] - plan["started"],
        "rss_mb": _peak_mb(),
        "dropped": {"late": dropped},
        "stages": {"total": {"n": len(ages), **cuts}},
    }


def _work(newest: Newest, infer: Infer, done: list[tuple[float, float]]) -> None:
    while (picture := newest.take()) is not None:
        infer(picture[0])
        now = time.monotonic()
        done.append((now, now - picture[1]))


def _decode(plan: Plan, camera: int, newest: Newest, stop: threading.Event) -> None:
    begun = time.monotonic()
    left, top, width, height = plan["placement"]
    for number, picture in enumerate(_pictures(plan)):
        if (
            plan["realtime"]
            and not plan["live"]
            and stop.wait(max(0.0, begun + number / plan["rate"] - time.monotonic()))
        ):
            return
        taken = time.monotonic()
        scaled = picture.reformat(width, height, format="bgr24", interpolation=Interpolation.AREA, threads=1)
        whole = scaled.to_ndarray()[np.newaxis]
        if list(whole.shape) != plan["shape"] or not whole.flags.c_contiguous:
            whole = np.full(plan["shape"], plan["pad"], np.uint8)
            whole[0, top : top + height, left : left + width] = scaled.to_ndarray()
        newest.put(camera, whole, taken)
        if stop.is_set():
            return


def _pictures(plan: Plan) -> Iterator[av.VideoFrame]:
    """The pictures of the source; of a file again and again where it is to last.

    Raises:
        RuntimeError: it has none.
    """
    options = {"rtsp_transport": "tcp"} if plan["source"].startswith("rtsp:") else {}
    while True:
        with av.open(plan["source"], "r", options=options, timeout=_SILENCE) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            picture = None
            for picture in container.decode(stream):
                yield picture
        if picture is None:
            raise RuntimeError(f"{plan['source']}: expected pictures, it has none")
        if plan["seconds"] is None:
            return


def _repeat(plan: Plan, camera: int, newest: Newest, stop: threading.Event) -> None:
    del stop
    tensor = np.random.default_rng(0).integers(0, 256, plan["shape"], np.uint8)
    for _ in range(_ALONE_FRAMES):
        newest.put(camera, tensor, time.monotonic())


def _openvino(plan: Plan) -> list[Infer]:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # it calls nobody
    import openvino as ov

    ov.Type.f32.to_dtype()  # two lanes that ask for the first time at once wait for each other for ever (2026.4)
    lanes = plan["lanes"]
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": str(lanes),
        "INFERENCE_NUM_THREADS": str(lanes),
        "ENABLE_CPU_PINNING": "NO",
    }
    compiled = ov.Core().compile_model(plan["model"], "CPU", settings)

    def lane() -> Infer:
        request = compiled.create_infer_request()
        return lambda tensor: request.infer([tensor], share_inputs=True, share_outputs=True)

    return [lane() for _ in range(lanes)]


def _onnxruntime(plan: Plan) -> list[Infer]:
    import onnxruntime as ort

    def lane() -> Infer:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(plan["model"], options, providers=["CPUExecutionProvider"])
        return lambda tensor: session.run(None, {plan["input"]: tensor})

    return [lane() for _ in range(plan["lanes"])]


def _tflite(plan: Plan) -> list[Infer]:
    from ai_edge_litert.interpreter import Interpreter

    def infer(interpreter: Interpreter, tensor: object) -> object:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
        interpreter.invoke()
        return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]

    interpreters = [Interpreter(model_path=plan["model"], num_threads=1) for _ in range(plan["lanes"])]
    for interpreter in interpreters:
        interpreter.allocate_tensors()
    return [partial(infer, interpreter) for interpreter in interpreters]


_RUNTIMES: dict[str, Callable[[Plan], list[Infer]]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "tflite": _tflite,
}


def _peak_mb() -> float:
    """As `tools.bench.memory.peak_mb`, which is not imported either."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
