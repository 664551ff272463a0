"""Two roads that boxes count while their models are rolled out: one that is made, and one that was filmed."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import onnx
from onnx import numpy_helper

from agent.count import CountRequest, count_source
from tests.data import data_dir
from tests.e2e.agents import ROOT, camera, line, run_cli
from tests.integration import squares
from tests.integration.squares_everywhere import write_bundle_for_all

ROUNDS = 4  # from the third on, each round counts what the one before it did
FRAMES = 265  # of the clip


class Road(Protocol):
    """A road, and models that count it.

    Attributes:
        model: their name.
        camera: its table in agent.toml: every frame is counted, and none waits for real time.
        shadow: what a new model is compared by.
        patience: seconds that the boxes may take to change their models.
    """

    model: str
    patience: float
    camera: dict[str, Any]
    shadow: dict[str, Any]

    def bundle(self, folder: Path, version: str, *, wrong: bool = False) -> Path:
        """A bundle for three runtimes, other bytes in each version; a wrong one finds less than there is."""

    def crossed_after(self, frames: int) -> tuple[int, int]:
        """In and out of the line ``mid`` after so many frames of the road played in a loop."""


class MadeRoad:
    """White squares, whose truth is known by how they are made; see `tests.integration.squares`."""

    model = "squares"
    patience = 240.0

    def __init__(self, folder: Path) -> None:
        self.shadow = {"seconds": 2, "fps": 60, "frames": 60}
        self.camera = squares.camera(squares.write_pictures(folder / "road"))

    def bundle(self, folder: Path, version: str, *, wrong: bool = False) -> Path:
        # Its golden sample lies where it sees.
        flaws = {"blind_from": 12} if wrong else {}
        return write_bundle_for_all(folder / f"squares-{version}", version=version, **flaws)

    def crossed_after(self, frames: int) -> tuple[int, int]:
        return squares.crossed_after(frames)


class FilmedRoad:
    """Four vehicles that come towards a camera, counted with YOLOX-nano in three forms.

    That four cross is known by hand (`tests.e2e.test_real_clips`); after how many frames each does, is what one form
    counts of the clip played over and over without a broker, an update or a rollout.
    """

    model = "yolox-nano"
    patience = 1200.0

    def __init__(self, folder: Path) -> None:
        self.shadow = {"seconds": 2, "fps": 60, "frames": FRAMES}
        self._folder = folder
        self._clip = data_dir() / "videos/ahmetozlu_vehicle_survaillance.mp4"
        crossed = line(0.55) | {"labels": ["car", "truck", "bus"]}
        self.camera = camera(self._clip, loop=True, realtime=False, line=[crossed])
        self._bundles: list[Path] = []
        self._crossed: list[tuple[int, int]] = []

    def bundle(self, folder: Path, version: str, *, wrong: bool = False) -> Path:
        made = folder / f"yolox-nano-{version}"
        model = self._folder / f"model-{version}"
        model.mkdir()
        text = (ROOT / "models/yolox-nano/model.toml").read_text()
        text = re.sub(r'version = ".*"', f'version = "{version}"', text)
        (model / "model.toml").write_text(text.replace("score = 0.3", "score = 0.7") if wrong else text)
        _write_network(model / "model.onnx", len(self._bundles))
        targets = [part for form in ("openvino", "onnxruntime", "tflite") for part in ("--target", f"x86-{form}")]
        quick = ("--precision", "fp32", "--pictures", "8", "--measure", "none")
        frames = ("--calibration", data_dir() / "images/vehicle_topview")
        built = run_cli("converters.cli", "build", model, "--out", made, *targets, *quick, *frames)
        assert built.returncode == 0, built.stderr
        self._bundles.append(made)
        return made

    def crossed_after(self, frames: int) -> tuple[int, int]:
        if not self._crossed:
            self._crossed = self._count()
        if frames < ROUNDS * FRAMES:
            return self._crossed[frames]
        rounds, rest = divmod(frames, FRAMES)
        at, further = self._crossed[(ROUNDS - 1) * FRAMES + rest], rounds - (ROUNDS - 1)
        period = np.array(self._crossed[ROUNDS * FRAMES]) - np.array(self._crossed[(ROUNDS - 1) * FRAMES])
        ins, outs = np.array(at) + further * period
        return int(ins), int(outs)

    def _count(self) -> list[tuple[int, int]]:
        rounds = self._folder / "rounds.mp4"
        _repeat(self._clip, rounds, ROUNDS)
        request = CountRequest(
            str(rounds),
            self._bundles[0],
            lines=("mid:0,0.55,1,0.55",),
            labels=("car", "truck", "bus"),
            artifact="x86-onnxruntime/fp32",
            engines=self._folder / "engines",
        )
        seen = [counts.crossings for _, counts in count_source(request).frames]
        assert len(seen) == ROUNDS * FRAMES
        steps = ((sum(one.direction == way for one in each) for way in ("in", "out")) for each in seen)
        sums = itertools.accumulate((tuple(step) for step in steps), lambda a, b: (a[0] + b[0], a[1] + b[1]))
        counted = [(0, 0), *sums]
        assert counted[FRAMES] == (4, 0), "by hand"
        return counted


def _write_network(path: Path, number: int) -> None:
    """The network, trained a little further: its last weights differ by a millionth, so each form is other bytes."""
    shutil.copy(data_dir() / "models/yolox_nano_416.onnx", path)
    network = onnx.load(path)
    weights = max(network.graph.initializer, key=lambda one: len(one.raw_data))
    values = numpy_helper.to_array(weights) * np.float32(1 + number * 1e-6)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(network, path)


def _repeat(clip: Path, into: Path, rounds: int) -> None:
    """The same pictures over and over in one file, none of them encoded anew."""
    with av.open(str(into), "w") as written:
        stream = None
        offset = 0
        for _ in range(rounds):
            with av.open(str(clip)) as read:
                (video,) = read.streams.video
                stream = stream or written.add_stream_from_template(video)
                for packet in read.demux(video):
                    if packet.dts is None or packet.pts is None:  # the end
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    written.mux(packet)
                assert video.duration is not None
                offset += video.duration
