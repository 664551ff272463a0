"""The job for Qualcomm's converter: files that say everything, run by us where the tools are, else by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from pydantic import Field

from contracts.documents import WrittenModel
from contracts.errors import DocumentError
from converters.families.base import Job, Recipe
from converters.qnn.prepare import quantisable_graph, with_float_input
from converters.quantize.graph import load_named
from converters.quantize.reader import calibration_frames

PICTURES = 100  # float32 files of 1.7 MB each at 384x384; Qualcomm's own guides take 5 to 100
CALIBRATIONS = {"minmax": "min-max", "percentile": "percentile", "entropy": "entropy"}
JOB, MODEL, FLOAT, RESULT, LIST = "job.json", "model.onnx", "float.dlc", "model.dlc", "input_list.txt"

Tools = Literal["qairt", "snpe"]
"""``qairt-converter`` and ``qairt-quantizer``, or ``snpe-onnx-to-dlc`` and ``snpe-dlc-quantize`` of older SDKs."""


class SnpeJob(WrittenModel):
    """job.json: what to run, in this order, in the folder that it lies in.

    Attributes:
        schema_version: of this document.
        model: ONNX, float32 NHWC BGR 0 to 255 in, the preparation inside.
        input: name of its input.
        precision: ``fp32``, ``int8`` or ``int8-a16``.
        commands: argument lists; every path is relative to the folder.
        result: the file that the last command writes.
        pictures: calibration pictures, raw float32 NHWC, one a line in input_list.txt.
    """

    schema_version: Literal[1] = 1
    model: str
    input: str
    precision: Literal["fp32", "int8", "int8-a16"]
    commands: tuple[tuple[str, ...], ...] = Field(min_length=1)
    result: str
    pictures: int = Field(ge=0)


def write_job(job: Job, recipe: Recipe, folder: Path, tools: Tools = "qairt") -> SnpeJob:
    """Write the model, the calibration pictures, their list and job.json into a folder.

    To run it by hand: ``source $SNPE_ROOT/bin/envsetup.sh``, then the commands of job.json in the folder.

    Raises:
        DocumentError: quantising is asked for and there are no calibration pictures, or the way of finding ranges is
            not one that these tools have.
    """
    assert job.folded is not None  # the family's `precisions` refused it
    model = with_float_input(quantisable_graph(load_named(job.folded), job.spec.input))
    onnx.save(model, folder / MODEL)
    name = str(model.graph.input[0].name)
    pictures = 0 if recipe.precision == "fp32" else _write_pictures(job, recipe, folder)
    written = SnpeJob.model_validate(
        {
            "model": MODEL,
            "input": name,
            "precision": recipe.precision,
            "commands": commands(recipe, name, tools),
            "result": RESULT,
            "pictures": pictures,
        }
    )
    (folder / JOB).write_text(json.dumps(written.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    return written


def commands(recipe: Recipe, name: str, tools: Tools) -> list[list[str]]:
    """The argument lists; options as in Qualcomm's "Model conversion" and "Model quantization" pages (QAIRT 2.39).

    Raises:
        DocumentError: the tools do not know the method.
    """
    quantised = recipe.precision != "fp32"
    output = FLOAT if quantised else RESULT
    if tools == "qairt":
        layout = ["--source_model_input_layout", name, "NHWC", "--desired_input_layout", name, "NHWC"]
        first = ["qairt-converter", "--input_network", MODEL, "--output_path", output, *layout]
    else:
        first = ["snpe-onnx-to-dlc", "--input_network", MODEL, "--output_path", output, "--input_layout", name, "NHWC"]
    return [first, _quantise(recipe, tools)] if quantised else [first]


def _quantise(recipe: Recipe, tools: Tools) -> list[str]:
    method = recipe.method or "minmax"
    if method not in CALIBRATIONS or (tools == "snpe" and method != "minmax"):
        raise DocumentError("recipe", [f"expected a method of these tools for finding ranges, got {method!r}"])
    bits = "16" if recipe.precision == "int8-a16" else "8"
    files = ["--input_dlc", FLOAT, "--output_dlc", RESULT, "--input_list", LIST]
    widths = ["--act_bitwidth", bits, "--weights_bitwidth", "8", "--bias_bitwidth", "32"]
    if tools == "snpe":
        return ["snpe-dlc-quantize", *files, *widths, "--axis_quant"]
    ranges = ["--act_quantizer_calibration", CALIBRATIONS[method], "--use_per_channel_quantization"]
    return ["qairt-quantizer", *files, *widths, *ranges]


def _write_pictures(job: Job, recipe: Recipe, folder: Path) -> int:
    if job.calibration is None:
        raise DocumentError(
            "calibration", [f"{recipe.precision} needs calibration pictures, there are none; give some"]
        )
    (folder / "calibration").mkdir(exist_ok=True)
    lines = []
    for number, picture in enumerate(calibration_frames(job.calibration, PICTURES)):
        line = f"calibration/{number:04}.raw"
        picture.astype(np.float32).tofile(folder / line)
        lines.append(line)
    (folder / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)
