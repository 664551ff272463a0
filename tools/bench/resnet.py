"""``python -m tools.bench.resnet``: what the forms of a network as large as ResNet50 take on this processor.

The layers and sizes are ResNet50's (He et al. 2016, 25.6 million weights, 224x224), the weights are drawn: figures of
time are those of a trained one, what it answers means nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import typer
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.errors import DeviceError
from converters.bench import bench as measure_bundle
from converters.report.rows import Row
from converters.show import progress_bar
from converters.speed import speed_of
from runtime.bundle import open_bundle
from runtime.console import run_program
from runtime.environment import host_name
from runtime.measure import FULL, QUICK
from runtime.model_dir import SPEC_NAME
from tools.demo.prepare import current_bundle

app = typer.Typer(pretty_exceptions_enable=False)

_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels within a block, blocks, stride of the first
_WIDENING = 4  # of a block's result against what is within it
_CLASSES = 1000
_SIDE = 224
_SPEC = f"""name = "resnet50-drawn"
version = "1.0.0"
labels = [{", ".join(f'"c{number}"' for number in range(_CLASSES))}]

[input]
width = {_SIDE}
height = {_SIDE}
color = "rgb"
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]

[output]
decoder = "classes"
scores = "logits"
score = 0.000001

[budget]
max_loss = 0.99 # a network that was not trained answers at random
"""
_FORMS = ["--precision", "fp32", "--precision", "int8", "--rounds", "0"]
_BUILD = ["--target", "x86-openvino", *_FORMS, "--measure", "none"]


@app.command()
def bench(
    goal: Annotated[float, typer.Option(min=0, help="How many times as fast as FP32 in f32 is wanted.")] = 3.0,
    work: Annotated[Path, typer.Option(help="Where the model and its bundle are kept.")] = Path("build/bench"),
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer runs; no figure to quote.")] = False,
) -> None:
    """Measure OpenVINO's forms of a ResNet50; an error where the fastest is not as fast as wanted."""
    bundle = open_bundle(current_bundle(write_model(work / "resnet50"), work, _BUILD))
    with progress_bar(quiet=False) as progress:
        tried = measure_bundle(bundle, effort=QUICK if quick else FULL, progress=progress)
    rows = [row for row in tried if row.benchmark]
    if not any(row.is_fp32 for row in rows):
        raise DeviceError(f"FP32 was not measured: {tried[0].reason}")
    console = Console()
    console.print(Text(f"ResNet50 with drawn weights on {host_name()}"))
    console.print(_table(rows))
    gain = max(map(_fps, rows)) / max(_fps(row) for row in rows if row.is_fp32)
    console.print(Text(f"the fastest form is {gain:.2f} times as fast as FP32 in f32, wanted are {goal:g}"))
    if gain < goal:
        raise typer.Exit(1)


def _fps(row: Row) -> float:
    assert row.benchmark is not None  # the others were left out
    return row.benchmark.fps


def _table(rows: list[Row]) -> Table:
    table = Table("form", "in", "lanes x threads", "p50 ms", "fps", "x fp32", "x default")
    for row in rows:
        speed, measured = speed_of(row, rows), row.benchmark
        assert measured is not None  # the others were left out
        table.add_row(
            row.precision,
            measured.execution_precision,
            f"{measured.lanes} x {measured.threads}",
            f"{measured.stages['total'].p50:.1f}",
            f"{measured.fps:.1f}",
            f"{speed.against_fp32 or 0:.2f}",
            f"{speed.against_default or 0:.2f} ({row.default_precision})",
        )
    return table


def write_model(folder: Path) -> Path:
    """The model directory; the same bytes each time.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SPEC_NAME).write_text(_SPEC, encoding="utf-8")
    onnx.save(_Drawn().network(), folder / "model.onnx")
    return folder


@dataclass
class _Drawn:
    """Grows the network, each layer with its batch norm fused into it."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def network(self) -> onnx.ModelProto:
        """ResNet50: ``image`` (1, 3, 224, 224) to ``answer`` (1, 1000)."""
        tensor, channels = self._conv("image", 3, 64, kernel=7, stride=2, relu=True), 64
        tensor = self._add("MaxPool", [tensor], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        for inner, blocks, first_stride in _STAGES:
            for number in range(blocks):
                tensor = self._block(tensor, channels, inner, 1 if number else first_stride)
                channels = inner * _WIDENING
        tensor = self._add("Flatten", [self._add("GlobalAveragePool", [tensor])])
        parameters = [self._constant(_CLASSES, channels), self._constant(_CLASSES, gain=0)]
        self.nodes.append(helper.make_node("Gemm", [tensor, *parameters], ["answer"], "answer", transB=1))
        image, answer = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("image", [1, 3, _SIDE, _SIDE]), ("answer", [1, _CLASSES]))
        )
        graph = helper.make_graph(self.nodes, "resnet50", [image], [answer], self.constants)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])

    def _block(self, tensor: str, channels: int, inner: int, stride: int) -> str:
        outer = inner * _WIDENING
        straight = tensor if channels == outer else self._conv(tensor, channels, outer, stride=stride)
        tensor = self._conv(tensor, channels, inner, relu=True)
        tensor = self._conv(tensor, inner, inner, kernel=3, stride=stride, relu=True)
        return self._add("Relu", [self._add("Add", [self._conv(tensor, inner, outer), straight])])

    def _conv(
        self, tensor: str, channels: int, outer: int, *, kernel: int = 1, stride: int = 1, relu: bool = False
    ) -> str:
        parameters = [self._constant(outer, channels, kernel, kernel), self._constant(outer, gain=0)]
        done = self._add("Conv", [tensor, *parameters], strides=[stride] * 2, pads=[kernel // 2] * 4)
        return self._add("Relu", [done]) if relu else done

    def _add(self, operator: str, inputs: list[str], **attributes: list[int]) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        node = helper.make_node(operator, inputs, [name], name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def _constant(self, *size: int, gain: float = 1.0) -> str:
        """Drawn so that what passes through a layer keeps its size."""
        spread = gain / np.sqrt(np.prod(size[1:]))
        values = self.random.standard_normal(size, np.float32) * np.float32(spread)
        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name


if __name__ == "__main__":
    sys.exit(run_program(app))
