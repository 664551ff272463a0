"""The measuring process of the floor: the same decoder, the bare runtime, threads and nothing else.

Uses the runtimes' own API, not ours, with the lanes and threads that the agent uses. With ``--alone`` nothing is
decoded either: the runtime infers one frame again and again.
"""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from contracts.config import CameraConfig
from contracts.manifest import Artifact
from runtime.bundle import open_bundle
from tools.bench.job import Job, Measured
from tools.bench.ours import peak_mb

Infer = Callable[[Any], object]

_ALONE_FRAMES = 300


def measure(job: Job, *, alone: bool) -> Measured:
    """Run the clip, or one frame again and again, through the bare runtime."""
    bundle = open_bundle(Path(job.bundle))
    artifact = bundle.artifact(job.artifact)
    begun = time.monotonic()
    lanes = _RUNTIMES[artifact.backend](str(bundle.path / artifact.entry), artifact, job.lanes)
    loaded, cpu_before = time.monotonic(), time.process_time()
    work: queue.Queue[Any] = queue.Queue(maxsize=1)
    done: list[float] = []
    threads = [threading.Thread(target=_work, args=(work, infer, done)) for infer in lanes]
    for thread in threads:
        thread.start()
    (_repeat if alone else _decode)(job, artifact, work)
    for _ in threads:
        work.put(None)
    for thread in threads:
        thread.join()
    return Measured(
        frames=len(done),
        seconds=done[-1] - done[0],
        cpu_seconds=time.process_time() - cpu_before,
        load=loaded - begun,
        first=done[0] - job.started,
        rss_mb=peak_mb(),
    )


def _work(work: queue.Queue[Any], infer: Infer, done: list[float]) -> None:
    while (tensor := work.get()) is not None:
        infer(tensor)
        done.append(time.monotonic())


def _decode(job: Job, artifact: Artifact, work: queue.Queue[Any]) -> None:
    """The agent's own source, so that both decode and scale in the same way."""
    from agent.cameras.frame import Wanted
    from agent.cameras.table import open_source
    from runtime.prepare import Preparer

    spec = open_bundle(Path(job.bundle)).manifest.model.input
    camera = CameraConfig(id="bare", source=job.clip, realtime=False)
    source = open_source(camera, Wanted(spec), threading.Event())
    whole = artifact.inputs[0].shape[1:]
    preparers = itertools.cycle([Preparer(spec) for _ in range(job.lanes + 2)])  # each is read while the next fills
    while (frame := source.read()) is not None:
        fits = frame.image.shape == whole and frame.image.flags.c_contiguous
        work.put(frame.image[np.newaxis] if fits else next(preparers).prepare(frame.image, frame.placement))
    source.close()


def _repeat(job: Job, artifact: Artifact, work: queue.Queue[Any]) -> None:
    del job
    tensor = np.random.default_rng(0).integers(0, 256, artifact.inputs[0].shape, np.uint8)
    for _ in range(_ALONE_FRAMES):
        work.put(tensor)


def _openvino(path: str, artifact: Artifact, lanes: int) -> list[Infer]:
    from runtime.backends.quiet_openvino import ov

    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": str(lanes),
        "INFERENCE_NUM_THREADS": str(lanes),
        "ENABLE_CPU_PINNING": "NO",
    }
    compiled = ov.Core().compile_model(path, "CPU", settings)
    del artifact

    def lane() -> Infer:
        request = compiled.create_infer_request()
        return lambda tensor: request.infer([tensor], share_inputs=True, share_outputs=True)

    return [lane() for _ in range(lanes)]


def _onnxruntime(path: str, artifact: Artifact, lanes: int) -> list[Infer]:
    import onnxruntime as ort

    name = artifact.inputs[0].name

    def lane() -> Infer:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda tensor: session.run(None, {name: tensor})

    return [lane() for _ in range(lanes)]


_RUNTIMES: dict[str, Callable[[str, Artifact, int], list[Infer]]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}

if __name__ == "__main__":
    print(measure(Job.model_validate_json(sys.argv[1]), alone="--alone" in sys.argv).model_dump_json())
