"""Qualcomm: a context binary for one chip family's HTP, with the whole model in it, made and emulated on x86-64 Linux.

Precisions: ``int8`` (8-bit activations and weights), ``int8-a16`` (16-bit activations, 8-bit weights) and ``fp16``.
What is kept out of quantising computes in FP16 where the processor has it; HTP v68 has no floating point, so that there
kept-out layers get 16-bit activations in an ``int8`` file, and an ``int8-a16`` file cannot keep any out. The last
layers of an ``int8`` file and what comes behind them are always kept out so.

The preparation of the picture is inside too (`converters.qnn.prepare`). Graph inputs and outputs are converted by HTP
(``offload_graph_io_quantization`` 0): otherwise the last DequantizeLinear is left for the CPU, and contexts made so by
onnxruntime-qnn 2.4 or newer are not read by the provider that is built into older ONNX Runtimes (Ultralytics' note).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import onnx

from contracts.errors import DocumentError, ModelFileError
from contracts.facts import Requirement
from converters.families.base import Emitted, Job, Recipe, refuse_quantised, require_onnx
from converters.qnn.context import LAYERS, Context, compile_context
from converters.qnn.prepare import float_graph
from converters.qnn.quantise import A8, A16, quantised_file
from converters.quantize.ranges import METHODS
from converters.read import input_infos, output_infos
from runtime.hexagon import COMPILE_OPTIONS, DEVICE_OPTIONS, METADATA, NO_FLOAT, htp_problems

_FP16 = "fp16"
_ALL = (A8, A16, _FP16)


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`; a processor without floating point makes no ``fp16``."""
    options = _options(job)
    require_onnx(job, "QNN")
    refuse_quantised(job, "Qualcomm's quantiser")
    has_float = options["htp_arch"] not in NO_FLOAT
    return tuple(name for name in wanted if name in _ALL and (has_float or name != _FP16))


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`; what percentiles cut off, 16 bits need not."""
    del job
    return {A8: METHODS, A16: METHODS[:1]}.get(precision, ("",))


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    options = _options(job)
    has_float = options["htp_arch"] not in NO_FLOAT
    _check_possible(job, recipe, has_float=has_float)
    settings = {
        **options,
        "offload_graph_io_quantization": "0",
        "htp_graph_finalization_optimization_mode": "3",  # the most thorough; it runs here, not on the device
        "enable_htp_fp16_precision": "1" if has_float and (recipe.precision != A16 or recipe.kept_out) else "0",
    }
    entry = folder / "model.onnx"
    context = compile_context(job.source, _source_model(job, recipe, has_float=has_float), entry, settings)
    _write(entry, context, {**job.origin, **_made_for(options)})
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=input_infos(job.source, context.model),
        outputs=output_infos(job.source, context.model),
        rounded=True,
        floors=(Requirement(fact="runtime.qnn", at_least=_floor()),),
        toolchain={
            "onnxruntime": metadata.version("onnxruntime"),
            "onnxruntime-qnn": metadata.version("onnxruntime-qnn"),
            "qairt": context.sdk,
        },
    )


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; what QNN compiled, of which nothing is left elsewhere."""
    del execution_precision
    model = onnx.load(emitted.entry, load_external_data=False)
    layers = next((entry.value for entry in model.metadata_props if entry.key == LAYERS), None)
    if layers is None:
        return None
    return {str(kind): int(number) for kind, number in json.loads(layers).items()}


def _options(job: Job) -> dict[str, str]:
    strange = sorted(job.options.keys() - set(COMPILE_OPTIONS))
    problems = [f"expected the options {', '.join(COMPILE_OPTIONS)}, got {name!r}" for name in strange]
    problems += htp_problems(job.options)
    if problems:
        raise DocumentError("options of family 'qnn'", problems)
    return dict(job.options)


def _check_possible(job: Job, recipe: Recipe, *, has_float: bool) -> None:
    if recipe.precision not in _ALL or (recipe.precision == _FP16 and not has_float):
        made = [name for name in _ALL if has_float or name != _FP16]
        raise ModelFileError(
            f"{job.source}: this processor's precisions are {', '.join(made)}, got {recipe.precision!r}; choose another"
        )
    if recipe.precision == A16 and recipe.kept_out and not has_float:
        raise ModelFileError(
            f"{job.source}: HTP v68 has no floating point to keep layers out of {A16} in; choose another target"
        )


def _source_model(job: Job, recipe: Recipe, *, has_float: bool) -> Path:
    if recipe.precision != _FP16:
        return quantised_file(job, recipe, has_float=has_float)
    assert job.folded is not None  # `precisions` refused it
    target = job.scratch / "float.onnx"
    onnx.save(float_graph(onnx.load(job.folded)), target)
    return target


def _made_for(options: Mapping[str, str]) -> dict[str, str]:
    return {METADATA + name: options[name] for name in DEVICE_OPTIONS}


def _write(entry: Path, context: Context, properties: Mapping[str, str]) -> None:
    everything = {**properties, LAYERS: json.dumps(context.layers, sort_keys=True)}
    onnx.helper.set_model_props(
        context.model, {**{entry.key: entry.value for entry in context.model.metadata_props}, **everything}
    )
    onnx.save(context.model, entry)


def _floor() -> str:
    """The provider that wrote it: a context is read by the SDK that made it and by newer ones."""
    return ".".join(metadata.version("onnxruntime-qnn").split(".")[:2])
