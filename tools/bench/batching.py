"""``python -m tools.bench.batching``: does one inference of n pictures beat n inferences of one on this processor?

What is measured favours batching: every batch is full and nobody waited for it to fill up. Rates and times are as if
the machine did nothing else (`runtime.cpu_share`).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import typer
from numpy.typing import NDArray
from onnx import numpy_helper
from rich.console import Console
from rich.table import Table

from contracts.errors import EdgetallyError
from runtime.backends.base import Lane
from runtime.backends.quiet_openvino import ov
from runtime.backends.table import open_lanes
from runtime.console import run_program
from runtime.cpu_share import CpuShare
from runtime.environment import host_facts, host_name
from runtime.measure import throughput
from tools.bench.models import default_models

app = typer.Typer(pretty_exceptions_enable=False)

_PICTURES = 8  # that differ
_SAME = 1e-3  # of the largest value: how far a batch's rows may be from the same pictures one by one


@dataclass(frozen=True)
class Way:
    """How pictures go through the runtime: ``lanes`` callers at once, each with ``batch`` pictures a call."""

    batch: int
    lanes: int
    threads: int

    def __str__(self) -> str:
        pictures = "1 picture" if self.batch == 1 else f"{self.batch} pictures"
        lanes = "1 lane" if self.lanes == 1 else f"{self.lanes} lanes"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{pictures} a call, {lanes} of {threads}"


@dataclass
class Figures:
    """What the rounds gave of one way; ``ratios`` are to the first way's rate in the same round."""

    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    call_ms: list[float] = field(default_factory=list)


@app.command()
def batching(
    rounds: Annotated[int, typer.Option(min=3, help="How often each is measured, in turn.")] = 9,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 1.5,
    work: Annotated[Path, typer.Option(help="Where the models are put together.")] = Path("build/bench"),
) -> None:
    """Measure yolox-nano and the shipped density model through OpenVINO and ONNX Runtime."""
    work.mkdir(parents=True, exist_ok=True)
    console = Console()
    cores = host_facts()["cpu.count"]
    assert isinstance(cores, int)
    ways = [Way(1, cores, 1), Way(1, 1, cores), *(Way(batch, 1, cores) for batch in (2, 4, 8))]
    console.print(f"{host_name()}; {rounds} rounds in turn, {seconds} s each; median (least to most)")
    for model in default_models(work):
        for backend in ("openvino", "onnxruntime"):
            with tempfile.TemporaryDirectory() as folder:
                figures = _measure(model / "model.onnx", backend, Path(folder), ways, rounds, seconds)
            console.print(_table(f"{model.name}, {backend} {host_facts().get(f'runtime.{backend}')}", figures))


def _measure(
    source: Path, backend: str, folder: Path, ways: Sequence[Way], rounds: int, seconds: float
) -> dict[Way, Figures]:
    files = {batch: _with_batch(source, backend, folder, batch) for batch in {way.batch for way in ways}}
    opened = {way: open_lanes(backend, files[way.batch], lanes=way.lanes, threads=way.threads) for way in ways}
    name, pictures = _pictures(source)
    _check_same(opened, name, pictures)
    figures = {way: Figures() for way in ways}
    for _ in range(rounds):
        rates = {way: _rate(way, lanes, name, pictures, seconds) for way, lanes in opened.items()}
        for way, (rate, cpu_ms, call_ms) in rates.items():
            figures[way].rates.append(rate)
            figures[way].ratios.append(rate / rates[ways[0]][0])
            figures[way].cpu_ms.append(cpu_ms)
            figures[way].call_ms.append(call_ms)
    return figures


def _rate(
    way: Way, lanes: Sequence[Lane], name: str, pictures: NDArray[np.float32], seconds: float
) -> tuple[float, float, float]:
    """Pictures a second of all lanes, milliseconds of CPU time a picture, and of a call while all are busy."""
    batches = [{name: pictures[i : i + way.batch]} for i in range(0, _PICTURES, way.batch)]
    calls: list[float] = []

    def run(lane: Lane, tensors: dict[str, NDArray[np.float32]]) -> None:
        share.note()
        begun = time.perf_counter()
        lane.infer(tensors)
        calls.append(time.perf_counter() - begun)
        share.note()

    share, begun = CpuShare(), time.process_time()
    rate = throughput([partial(run, lane) for lane in lanes], batches, 1, seconds) * way.batch
    had = share.share() or 1.0
    cpu_ms = (time.process_time() - begun) * 1000 / (len(calls) * way.batch)
    return rate / had, cpu_ms, statistics.median(calls) * 1000 * had


def _pictures(source: Path) -> tuple[str, NDArray[np.float32]]:
    (entry,) = onnx.load(source, load_external_data=False).graph.input
    shape = [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim]
    values = np.random.default_rng(0).random((_PICTURES, *shape[1:]), np.float32) * 255
    return entry.name, values


def _with_batch(source: Path, backend: str, folder: Path, batch: int) -> Path:
    """The model for so many pictures a call, as the backend opens it."""
    model = onnx.load(source)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
    _free_reshapes(model.graph)
    path = folder / f"{batch}.onnx"
    onnx.save(model, path)
    if backend == "onnxruntime":
        return path
    ov.save_model(ov.convert_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
    return path.with_suffix(".xml")


def _free_reshapes(graph: onnx.GraphProto) -> None:
    """A leading 1 in a Reshape becomes 0, which is the input's own batch (ONNX, Reshape)."""
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    constants = [node.attribute[0].t for node in graph.node if node.op_type == "Constant" and node.output[0] in shapes]
    for tensor in (*(one for one in graph.initializer if one.name in shapes), *constants):
        shape = numpy_helper.to_array(tensor).copy()
        shape[0] = 0
        tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _check_same(opened: dict[Way, list[Lane]], name: str, pictures: NDArray[np.float32]) -> None:
    """A batch has to give what its pictures give one by one, else its speed is of something else."""
    reference: list[dict[str, NDArray[np.float32]]] = []
    for way, lanes in opened.items():
        for start in range(0, _PICTURES, way.batch):
            outputs = lanes[0].infer({name: pictures[start : start + way.batch]})
            rows = [{key: value[i].copy() for key, value in outputs.items()} for i in range(way.batch)]
            if len(reference) < _PICTURES:
                reference += rows
            elif not all(_same(row, reference[start + i]) for i, row in enumerate(rows)):
                raise EdgetallyError(f"{way} gives something else than one by one; the model cannot be batched so")


def _same(row: dict[str, NDArray[np.float32]], reference: dict[str, NDArray[np.float32]]) -> bool:
    return all(
        float(np.abs(row[key] - value).max()) <= _SAME * float(np.abs(value).max()) for key, value in reference.items()
    )


def _table(title: str, figures: dict[Way, Figures]) -> Table:
    names = ("way", "pictures a second", "against the first, same round", "CPU ms a picture", "ms a call")
    table = Table(*names, title=title)
    for way, found in figures.items():
        rate, ratio = _spread(found.rates, ".1f"), _spread(found.ratios, ".2f")
        table.add_row(str(way), rate, ratio, _spread(found.cpu_ms, ".1f"), _spread(found.call_ms, ".0f"))
    return table


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    sys.exit(run_program(app))
