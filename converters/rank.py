"""The model's layers, the one that quantising harms most first: by what its error does to the decoded result."""

from __future__ import annotations

from contracts.errors import ModelFileError
from converters.families.base import Job
from converters.ladder import Tell
from converters.material import Material
from converters.quantize.ranges import tensor_ranges
from converters.quantize.sensitivity import rank_layers
from runtime.artifact_lanes import HOST_BACKEND
from runtime.backends.table import open_lane
from runtime.decoders.table import open_decoder
from runtime.metrics import result_error
from runtime.prepare import place
from runtime.results import Tensors


def rank(job: Job, material: Material, tell: Tell) -> list[str]:
    """Names of the layers of ``job.folded``, worst first.

    Raises:
        ModelFileError: the model is no ONNX, there are no calibration pictures, or it does not run.
    """
    if job.folded is None or job.calibration is None:
        raise ModelFileError(f"{job.source}: ranking layers needs ONNX and calibration pictures; give both")
    spec = material.spec
    decoder = open_decoder(spec)
    where = place(spec.input, spec.input.width, spec.input.height)

    rest = open_lane(HOST_BACKEND, job.rest) if job.rest else None

    def results(outputs: Tensors) -> Tensors:
        return rest.infer(outputs) if rest else outputs

    def error(outputs: Tensors, reference: Tensors) -> float:
        return result_error(decoder.decode(results(outputs), where), decoder.decode(results(reference), where))

    ranges = tensor_ranges(job.folded, job.calibration, "minmax", cache=job.scratch)
    layers = rank_layers(
        job.folded,
        job.calibration,
        ranges,
        error,
        progress=lambda done, total: tell(f"ranking layers by what quantising each alone harms: {done} of {total}"),
    )
    return [layer.node for layer in layers]
