"""The job for TIDL: float TFLite, calibration pictures and options; run by us where the tools are, else by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from pydantic import Field

from contracts.documents import WrittenModel, read_document
from contracts.errors import DocumentError, ModelFileError
from converters.families.base import Job
from converters.quantize.reader import calibration_frames
from converters.tflite.flatbuffer import Graph, read_graph
from converters.tflite.graph import renamed
from converters.tflite.mapping import operators_of

JOB, MODEL, PICTURES, ARTIFACTS = "job.json", "model.tflite", "calibration.npy", "artifacts"
WORKER = Path(__file__).with_name("worker.py")


class TidlOptions(WrittenModel):
    """The target's options, after "User options for TIDL Acceleration" of edgeai-tidl-tools.

    Attributes:
        platform: ``J7`` is J721E, which is TDA4VM.
        tensor_bits: of weights and activations.
        accuracy_level: 0 plain ranges, 1 with bias calibration.
        calibration_frames: pictures; TI asks for 50 and more with bias calibration.
        calibration_iterations: rounds of bias calibration.
        deny_types: layer types left to the Arm cores, with commas between.
        allow_host_fallback: whether nodes may be left to the Arm cores at all.
        tidl_version: line of the tools, which the board's firmware must have too.
    """

    platform: Literal["J7"]
    tensor_bits: Literal[8, 16] = 8
    accuracy_level: Literal[0, 1] = 1
    calibration_frames: int = Field(50, ge=1, le=300)
    calibration_iterations: int = Field(50, ge=1, le=200)
    deny_types: str = Field("", pattern=r"^[A-Za-z0-9_, ]*$", max_length=1000)
    allow_host_fallback: bool = False
    tidl_version: str = Field(pattern=r"^\d{1,2}\.\d{1,2}$")


class TidlJob(WrittenModel):
    """job.json: what the worker is told; paths are relative to its folder.

    Attributes:
        schema_version: of this document.
        model: float32 TFLite, uint8 NHWC BGR in.
        pictures: .npy of uint8 ``(n, height, width, 3)``.
        artifacts: folder that TIDL writes to.
        options: of the import delegate, but the paths, which the worker adds.
    """

    schema_version: Literal[1] = 1
    model: str
    pictures: str
    artifacts: str
    options: dict[str, str | int]


def read_options(job: Job) -> TidlOptions:
    """The target's options.

    Raises:
        DocumentError: one is unknown or wrong.
    """
    return read_document(TidlOptions, _typed(job.options), "options of family 'tidl'")


def write_job(job: Job, kept_out: tuple[str, ...], float_file: Path, folder: Path) -> TidlJob:
    """Write the model, the calibration pictures, the worker and job.json into a folder.

    To run it by hand, in TI's environment: ``python worker.py job.json`` with ``TIDL_TOOLS_PATH`` set.

    Args:
        job: with calibration pictures.
        kept_out: names of nodes that get 16-bit outputs.
        float_file: the float TFLite file of the model.
        folder: an existing folder.

    Raises:
        DocumentError: an option is wrong, or there are no calibration pictures.
        ModelFileError: a node that should be kept out is not to be found in the TFLite file.
    """
    options = read_options(job)
    if job.calibration is None:
        raise DocumentError("calibration", ["TIDL needs calibration pictures, there are none; give some"])
    pictures = np.concatenate(list(calibration_frames(job.calibration, options.calibration_frames)))
    np.save(folder / PICTURES, pictures)
    shutil.copyfile(float_file, folder / MODEL)
    shutil.copyfile(WORKER, folder / WORKER.name)
    (folder / ARTIFACTS).mkdir(exist_ok=True)
    wide = wide_tensors(job, kept_out, read_graph(float_file))
    written = TidlJob(
        model=MODEL, pictures=PICTURES, artifacts=ARTIFACTS, options=_delegate(options, len(pictures), wide)
    )
    (folder / JOB).write_text(json.dumps(written.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")
    return written


def wide_tensors(job: Job, kept_out: tuple[str, ...], graph: Graph) -> tuple[str, ...]:
    """Names, in the TFLite file, of what the nodes kept out give.

    Raises:
        ModelFileError: one is not to be found there.
    """
    if not kept_out:
        return ()
    assert job.folded is not None  # the family's `precisions` refused it
    found = operators_of(renamed(onnx.load(job.folded)), {}, graph)
    names = []
    for name in kept_out:
        if name not in found:
            raise ModelFileError(
                f"{job.source}: layer {name!r} should get 16 bits and is not to be found in the TFLite file; "
                "leave it to 8 bits, or choose another target"
            )
        names += [tensor.name for operator in found[name] for tensor in operator.outputs]
    strange = next((name for name in names if "," in name), None)
    if strange:
        raise ModelFileError(f"{job.source}: TIDL takes no tensor name with a comma, got {strange!r}; rename it")
    return tuple(dict.fromkeys(names))


def _delegate(options: TidlOptions, pictures: int, wide: tuple[str, ...]) -> dict[str, str | int]:
    return {
        "platform": options.platform,
        "version": options.tidl_version,
        "tensor_bits": options.tensor_bits,
        "accuracy_level": options.accuracy_level,
        "debug_level": 1,  # says how many nodes the accelerator gets
        "max_num_subgraphs": 16,
        "deny_list:layer_type": options.deny_types,
        "deny_list:layer_name": "",
        "advanced_options:calibration_frames": pictures,
        "advanced_options:calibration_iterations": options.calibration_iterations,
        "advanced_options:output_feature_16bit_names_list": ",".join(wide),
    }


def _typed(options: object) -> dict[str, object]:
    """A target's options are text; JSON's rules say what of it is a number or a truth value."""
    assert isinstance(options, dict) or hasattr(options, "items")
    return {key: _value(key, value) for key, value in options.items()}


def _value(key: str, value: str) -> object:
    if key in {"platform", "deny_types", "tidl_version"}:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
