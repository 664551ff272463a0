"""TensorRT: an ONNX made for a generation of it and a recipe; the device's own TensorRT builds the engine from them.

An engine fits one TensorRT release and one GPU, and a host has neither, so none is shipped. What is proven here:
NVIDIA's parser (that of TensorRT for RTX) takes the ONNX and builds it strongly typed with the layers in the types that
are meant; the rules that the documentation of the device's own, older parser gives hold; and the same arithmetic on
ONNX Runtime's processor keeps the counts. What is not: that the device's TensorRT builds it, its kernels, its speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from contracts.engine_recipe import (
    RECIPE_NAME,
    BuilderFlag,
    EnginePrecision,
    EngineRecipe,
    Expected,
    Generation,
    LowMemory,
)
from contracts.errors import ModelFileError
from contracts.facts import Requirement
from converters.families.base import Emitted, Job, Recipe, require_onnx
from converters.nvidia import modelopt
from converters.nvidia.generations import GENERATIONS, Rules, check_rules, generation_of
from converters.nvidia.making import Made, make
from converters.nvidia.parser import Parsed, is_installed, parse
from converters.quantize.ranges import METHODS
from converters.read import input_infos, output_infos

PRECISIONS: Mapping[str, EnginePrecision] = {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}
_FLAGS: Mapping[EnginePrecision, tuple[BuilderFlag, ...]] = {"fp32": (), "fp16": ("FP16",), "int8": ("FP16", "INT8")}
_WORKSPACE_MIB = 1024
# Boards of 2 and 4 GB run out of memory while building (NVIDIA/TensorRT issues 1404 and 4220), those of 8 GB share
# theirs with what goes on counting meanwhile.
_LOW_MEMORY = ((3_000, 128, 1), (6_000, 256, 2), (10_000, 512, None))
# TensorRT merges and splits layers; half of those that were meant is far from "none" and from "all but a few".
_SHARE_EXPECTED = 0.5
_NOT_ASKED = (
    "NVIDIA's parser was not asked whether it takes the ONNX, for TensorRT for RTX is not installed; "
    "pip install 'edgetally[tensorrt-rtx]'"
)
_INT8_SM = 61  # compute capability 6.1, the first with int8 dot products (CUDA C++ Programming Guide, ``__dp4a``)


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    _check_options(job)
    require_onnx(job, "TensorRT")
    made = {"int8"} if job.quantised else PRECISIONS
    return tuple(precision for precision in wanted if precision in made)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    if precision != "int8" or job.quantised:
        return ("",)
    return modelopt.METHODS if job.options.get("placement") == modelopt.TOOLCHAIN else METHODS


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    generation = _check_options(job)
    rules = GENERATIONS[generation]
    if recipe.precision == "int8" and rules.no_int8:
        raise ModelFileError(f"{job.source}: TensorRT {generation} is not given int8: {rules.no_int8}")
    made = make(job, recipe, rules, generation)
    check_rules(made.model, generation, str(job.source))
    entry = folder / "model.onnx"
    save(job, made.model, entry)
    engine = _recipe(job, recipe, made, entry)
    (folder / RECIPE_NAME).write_text(engine.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
    version, warnings = asked_parser(entry, recipe, made)
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=engine.inputs,
        outputs=engine.outputs,
        rounded=recipe.precision != "fp32",
        floors=_floors(recipe),
        toolchain={"onnx": onnx.__version__, **version},
        stand_in=stand_in(job, recipe, made, generation),
        warnings=(*made.warnings, *warnings),
    )


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; what the network's layers are, as NVIDIA's parser made them.

    Where types are weak, the ONNX says no more than which layers are int8: the builder's flags decide on the rest.
    """
    del execution_precision
    if not is_installed():
        return None
    layers = parse(emitted.entry).layers
    recipe = EngineRecipe.model_validate_json((emitted.entry.parent / RECIPE_NAME).read_bytes())
    if recipe.strongly_typed or not recipe.flags:
        return layers
    return {"int8": layers.get("int8", 0)} if emitted.precision == "int8" else None


def save(job: Job, model: onnx.ModelProto, entry: Path) -> None:
    """Write an ONNX with its origin in its metadata."""
    for key, value in job.origin.items():
        model.metadata_props.add(key=f"edgetally.{key}", value=value)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, entry)


def stand_in(job: Job, recipe: Recipe, made: Made, generation: str) -> Path | None:
    """Where the ONNX lies that this host runs instead, if there is one; beside the artifact it would be shipped."""
    if made.stand_in is None:
        return None
    file = job.scratch / f"stand-in-{generation}-{recipe.precision}.onnx"
    onnx.save(made.stand_in, file)
    return file


def asked_parser(entry: Path, recipe: Recipe, made: Made) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Parse and build the ONNX: the versions of the parser and of what else made it, and a warning without a parser.

    Raises:
        ModelFileError: it is refused, or its layers are not what they are meant to be.
    """
    if not is_installed():
        return made.toolchain, (_NOT_ASKED,)
    parsed = parse(entry)
    check_layers(entry, recipe, made, parsed)
    return {"tensorrt-rtx": parsed.version, **made.toolchain}, ()


def check_layers(file: Path, recipe: Recipe, made: Made, parsed: Parsed) -> None:
    """See that the layers of NVIDIA's network are in the types that they are meant to be.

    Raises:
        ModelFileError: they are not, or none is quantised.
    """
    found = parsed.layers.get("int8", 0)
    if recipe.precision == "int8" and (found == 0 or found < made.quantised):
        raise ModelFileError(
            f"{file}: {found} of {made.layers} convolutions and products are int8 in NVIDIA's network, "
            f"expected {max(made.quantised, 1)}; choose another precision"
        )


def _check_options(job: Job) -> Generation:
    return generation_of(job.options, "[options] of a TensorRT target")


def _floors(recipe: Recipe) -> tuple[Requirement, ...]:
    return (Requirement(fact="gpu.sm", at_least=_INT8_SM),) if recipe.precision == "int8" else ()


def _recipe(job: Job, recipe: Recipe, made: Made, entry: Path) -> EngineRecipe:
    generation = _check_options(job)
    rules, precision = GENERATIONS[generation], PRECISIONS[recipe.precision]
    return EngineRecipe(
        generation=generation,
        requires=rules.requires,
        onnx=entry.name,
        precision=precision,
        strongly_typed=rules.strongly_typed,
        flags=() if rules.strongly_typed else _FLAGS[precision],
        inputs=input_infos(job.source, made.model),
        outputs=output_infos(job.source, made.model),
        workspace_mib=_WORKSPACE_MIB,
        low_memory=_low_memory(rules),
        expected=_expected(precision, made),
        float_layers=() if rules.strongly_typed else made.in_float,
    )


def _low_memory(rules: Rules) -> tuple[LowMemory, ...]:
    return tuple(
        LowMemory(
            below_mb=below,
            workspace_mib=workspace,
            builder_optimization_level=level if rules.has_optimization_level else None,
        )
        for below, workspace, level in _LOW_MEMORY
    )


def _expected(precision: EnginePrecision, made: Made) -> Expected:
    half = made.layers if precision != "fp32" else 0
    return Expected(
        int8=int(made.quantised * _SHARE_EXPECTED) if precision == "int8" else 0,
        half=int(half * _SHARE_EXPECTED),
        total=made.layers,
    )
