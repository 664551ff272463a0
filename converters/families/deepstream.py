"""DeepStream: nvinfer's configuration, labels and an ONNX for the TensorRT that a DeepStream release brings.

Raw output tensors are attached to the frames; decoding them is the application's. nvinfer builds the engine itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from contracts.errors import ModelFileError
from converters.families import tensorrt
from converters.families.base import Emitted, Job, Recipe, require_onnx
from converters.nvidia.deepstream import settings, strip_preparation, write_config
from converters.nvidia.generations import GENERATIONS, check_rules, generation_of
from converters.nvidia.making import make
from converters.nvidia.parser import is_installed, parse
from converters.read import input_infos, output_infos

_ONNX = "model.onnx"
_WORKSPACE_MIB = 1024
_WHERE = "[options] of a DeepStream target"


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    generation_of(job.options, _WHERE)
    require_onnx(job, "DeepStream")
    if job.rest is not None:
        raise ModelFileError(
            f"{job.source}: nvinfer runs one network a picture and cannot hand on to a second stage; build for a "
            "target of the TensorRT family, whose artifacts our agent runs"
        )
    made = {"int8"} if job.quantised else tensorrt.PRECISIONS
    return tuple(precision for precision in wanted if precision in made)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    return tensorrt.methods(job, precision)


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    generation = generation_of(job.options, _WHERE)
    rules = GENERATIONS[generation]
    if rules.strongly_typed:
        raise ModelFileError(
            f"{job.source}: nvinfer chooses the precision by its network-mode, TensorRT {generation} takes it from the "
            "ONNX; set generation to 10.3 or older"
        )
    made = make(job, recipe, rules, generation)
    model = strip_preparation(made.model, job.spec.input)
    check_rules(model, generation, str(job.source))
    tensorrt.save(job, model, folder / _ONNX)
    version, warnings = tensorrt.asked_parser(folder / _ONNX, recipe, made)
    standing_in = job.scratch / f"stand-in-deepstream-{recipe.precision}.onnx"
    onnx.save(made.stand_in or made.model, standing_in)
    return Emitted(
        precision=recipe.precision,
        entry=write_config(folder, settings(job.spec.input, recipe.precision, _WORKSPACE_MIB), job.spec.labels),
        inputs=input_infos(job.source, model),
        outputs=output_infos(job.source, model),
        rounded=recipe.precision != "fp32",
        floors=(),
        toolchain={"onnx": onnx.__version__, **version},
        stand_in=standing_in,
        warnings=(*made.warnings, *warnings, *_cannot_say(job)),
    )


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; as for weak types, the ONNX says which layers are int8, no more."""
    del execution_precision
    if not is_installed() or emitted.precision != "int8":
        return None
    return {"int8": parse(emitted.entry.with_name(_ONNX)).layers.get("int8", 0)}


def _cannot_say(job: Job) -> tuple[str, ...]:
    """What of model.toml nvinfer has no key for."""
    spec = job.spec.input
    if spec.resize == "stretch" or spec.pad_value == 0:
        return ()
    return (
        f"nvinfer pads pictures with black, model.toml's pad_value is {spec.pad_value}: results differ at the edges",
    )
