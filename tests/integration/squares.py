"""A road that a real network reads without a mistake: white squares that cross the middle of small pictures.

The network is made by hand: it finds every place where a square of 12 pixels is all white. So the truth is known frame
by frame, and a real agent counts thousands of frames a second with a real runtime.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from agent.counting.counter import make_counter
from contracts.config import CameraConfig
from runtime.results import Detections
from tests.fakes.bundles import entry, make_bundle

SIDE, SQUARE, STEP = 64, 12, 2  # pixels: of the picture, of a square, between two places that are looked at
FPS = 30.0
_DOWN = [(8, y) for y in range(0, SIDE - SQUARE + 1, 4)]
_UP = [(40, y) for y in range(SIDE - SQUARE, -1, -4)]
_EMPTY = [None] * 6
PLACES: list[tuple[int, int] | None] = [*_DOWN, *_EMPTY, *_UP, *_EMPTY, *((x + 16, y) for x, y in _DOWN), *_EMPTY]
"""Left upper corner of the square in each picture, None where there is none: two go down, one goes up."""


def write_pictures(folder: Path) -> Path:
    """The road as a folder of pictures, to be played in a loop."""
    folder.mkdir(parents=True)
    for number, place in enumerate(PLACES):
        (folder / f"{number}.bmp").write_bytes(_bitmap(picture(place)))
    return folder


def picture(place: tuple[int, int] | None) -> NDArray[np.uint8]:
    """One picture, uint8 ``(64, 64, 3)``."""
    image = np.random.default_rng(0).integers(0, 120, (SIDE, SIDE, 3), np.uint8)
    if place is not None:
        image[place[1] : place[1] + SQUARE, place[0] : place[0] + SQUARE] = 255
    return image


def _bitmap(image: NDArray[np.uint8]) -> bytes:
    """A BMP file of 24 bits a pixel; rows of 64 pixels need no padding."""
    pixels = image[::-1].tobytes()
    return (
        struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + len(pixels), 0, 54, 40, SIDE, SIDE, 1, 24, 0, 0, 0, 0, 0, 0)
        + pixels
    )


def camera(pictures: Path, **more: Any) -> dict[str, Any]:
    """The camera's table: every frame is counted, none waits for real time."""
    line = {"name": "mid", "start": [0.0, 0.5], "end": [1.0, 0.5]}
    source = {"id": "gate", "source": str(pictures), "loop": True, "realtime": False, "fps": FPS}
    return {**source, "line": [line], **more}


def crossed_after(frames: int) -> tuple[int, int]:
    """In and out of the line after so many frames of the road played in a loop."""
    rounds, rest = divmod(frames, len(PLACES))
    if not _CROSSED:
        _CROSSED.extend(_count(6 * len(PLACES)))
    period = np.array(_CROSSED[4 * len(PLACES)]) - np.array(_CROSSED[3 * len(PLACES)])
    if rounds < 4:
        return _CROSSED[frames]
    ins, outs = np.array(_CROSSED[3 * len(PLACES) + rest]) + (rounds - 3) * period
    return int(ins), int(outs)


_CROSSED: list[tuple[int, int]] = []


def _count(frames: int) -> list[tuple[int, int]]:
    """In and out after each frame, as the agent's counter has it from boxes that are right."""
    config = CameraConfig.model_validate(camera(Path("none")))
    counter = make_counter(config, ["square"], model_score=0.5)
    found, ins, outs = [(0, 0)], 0, 0
    for number in range(frames):
        place = PLACES[number % len(PLACES)]
        box = np.array([place], np.float32) / SIDE if place else np.empty((0, 2), np.float32)
        boxes = np.hstack([box, box + np.float32(SQUARE / SIDE)])
        seen = Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64))
        for crossing in counter.update(seen, 1000 + number / FPS, 1.0).crossings:
            ins, outs = (ins + 1, outs) if crossing.direction == "in" else (ins, outs + 1)
        found.append((ins, outs))
    return found


def write_bundle(
    root: Path,
    *,
    version: str = "1.0.0",
    blind_from: int = SIDE,
    blind_below: int = SIDE,
    work: int = 0,
    wrong: bool = False,
    pad_value: int = 114,
    **artifact_keys: Any,
) -> Path:
    """The network as a bundle for ONNX Runtime.

    Args:
        root: its folder.
        version: of the model.
        blind_from: pixels from the left, from where on it sees nothing; the golden sample's square lies before it.
        blind_below: the same from the top.
        work: how often it also multiplies two large matrices, which takes time and changes nothing.
        wrong: the golden samples expect something else than it gives.
        pad_value: another one has cameras opened anew, as it is part of what a source is asked for.
        artifact_keys: stand in place of its artifact's own.
    """
    file = root / "artifacts/x86-onnxruntime/fp32/model.onnx"
    file.parent.mkdir(parents=True)
    onnx.save(_network(version, (blind_from, blind_below), work), file)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    frame = picture(PLACES[5])
    (expected,) = session.run(None, {"image": frame[np.newaxis]})
    np.save(root / "frame.npy", frame)
    np.savez(root / "expected.npz", boxes=expected * np.float32(not wrong))
    golden = {
        "frame": entry(root, "golden/frame.npy", (root / "frame.npy").read_bytes()),
        "expected": entry(root, "golden/expected.npz", (root / "expected.npz").read_bytes()),
    }
    model = {
        "name": "squares",
        "version": version,
        "labels": ["square"],
        "input": {"width": SIDE, "height": SIDE, "pad_value": pad_value},
        "output": {"decoder": "ssd", "score": 0.5},
    }
    content = entry(root, "artifacts/x86-onnxruntime/fp32/model.onnx", file.read_bytes())
    artifact = {
        "id": "x86-onnxruntime/fp32",
        "target": "x86-onnxruntime",
        "backend": "onnxruntime",
        "precision": "fp32",
        "files": [content],
        "entry": content["path"],
        "requires": [],
        "inputs": [{"name": "image", "dtype": "uint8", "shape": [1, SIDE, SIDE, 3]}],
        "outputs": [{"name": "boxes", "dtype": "float32", "shape": list(expected.shape)}],
    }
    return make_bundle(root, [artifact | artifact_keys], golden=[golden], model=model)


def network_constants(blind: tuple[int, int] = (SIDE, SIDE)) -> dict[str, NDArray[Any]]:
    """What the network is made with, of whatever runtime.

    Args:
        blind: pixels from the left and from the top, from where on it sees nothing.
    """
    starts = np.arange(0, SIDE - SQUARE + 1, STEP, dtype=np.float32) / SIDE
    top, left = (axis.reshape(-1) for axis in np.meshgrid(starts, starts, indexing="ij"))
    corners = np.stack([left, top, left + SQUARE / SIDE, top + SQUARE / SIDE], axis=-1)[np.newaxis, np.newaxis]
    count = corners.shape[2]
    return {
        "least": np.array(0.9 * 255, np.float32),
        "scale": np.array(0.1 * 255, np.float32),
        "shape": np.array([1, 1, count, 1], np.int64),
        "zeros": np.zeros((1, 1, count, 1), np.float32),  # picture
        "label": np.zeros((1, 1, count, 1), np.float32),
        "corners": corners.astype(np.float32),
        "seen": np.all(corners[..., :2] < np.array(blind) / SIDE, axis=-1, keepdims=True).astype(np.float32),
    }


def _network(version: str, blind: tuple[int, int], work: int) -> onnx.ModelProto:
    """Mean brightness of every square, 1.0 where it is all white, 0.0 where a tenth of that is missing."""
    constants = network_constants(blind)
    count = constants["corners"].shape[2]
    if work:
        constants |= {"matrix": np.full((512, 512), 1 / 512, np.float32), "nothing": np.zeros((), np.float32)}
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("ReduceMean", ["planes"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("AveragePool", ["grey"], ["mean"], kernel_shape=[SQUARE] * 2, strides=[STEP] * 2),
        helper.make_node("Sub", ["mean", "least"], ["above"]),
        helper.make_node("Relu", ["above"], ["part"]),
        helper.make_node("Div", ["part", "scale"], ["share"]),
        helper.make_node("Clip", ["share", "", "one"], ["score"]),
        helper.make_node("Reshape", ["score", "shape"], ["all"]),
        *_work(work),
        helper.make_node("Mul", ["worked" if work else "all", "seen"], ["scores"]),
        helper.make_node("Concat", ["zeros", "label", "scores", "corners"], ["boxes"], axis=3),
    ]
    constants["one"] = np.array(1.0, np.float32)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (1, SIDE, SIDE, 3))
    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, (1, 1, count, 7))
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "squares", [image], [boxes], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.doc_string = version  # so that no two versions are the same bytes
    return model


def _work(times: int) -> list[onnx.NodeProto]:
    """Takes as long as so many products of matrices, and hands the scores on as they are."""
    if not times:
        return []
    first = [
        helper.make_node("ReduceSum", ["all"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["matrix", "sum"], ["work0"]),  # so that it cannot be done beforehand
    ]
    products = [helper.make_node("MatMul", [f"work{n}", "matrix"], [f"work{n + 1}"]) for n in range(times)]
    last = [
        helper.make_node("ReduceSum", [f"work{times}"], ["worth"], keepdims=0),
        helper.make_node("Mul", ["worth", "nothing"], ["none"]),
        helper.make_node("Add", ["all", "none"], ["worked"]),
    ]
    return [*first, *products, *last]
