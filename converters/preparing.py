"""What a build does once, whatever the targets: pictures in, FP32 run over them, the graph simplified and folded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from converters.families.base import Job
from converters.material import Material, make_material
from converters.pictures.choose import Limits, check_disjoint, choose_pictures
from converters.pictures.dataset import Dataset, calibration_warnings, write_dataset
from converters.quantize.recognise import recognise
from converters.request import Request
from converters.source import Folded, Model, source_digest, write_folded
from targets.load import Target


@dataclass(frozen=True)
class Prepared:
    """What all targets are made from.

    Args:
        model: what was read.
        material: what each artifact is tried on.
        folded: the model with the preparation folded in, as far as the source is ONNX.
        quantised: whether the model came quantised already.
        scratch: a folder that goes with the build.
        warnings: what a person should know.
    """

    model: Model
    material: Material
    folded: Folded
    quantised: bool
    scratch: Path
    warnings: tuple[str, ...]

    def job(self, target: Target) -> Job:
        """What a target's family is given; all targets of a family share its scratch folder."""
        spec = self.model.directory.spec
        scratch = self.scratch / target.family
        scratch.mkdir(exist_ok=True)
        origin = {
            "model": f"{spec.name} {spec.version}",
            "source_sha256": source_digest(self.model.directory.model_file),
        }
        return Job(
            spec=spec,
            source=self.model.directory.model_file,
            folded=self.folded.file,
            rest=self.folded.rest,
            origin=origin,
            scratch=scratch,
            calibration=self.material.calibration.file,
            options=target.options,
            quantised=self.quantised,
        )


def prepare(request: Request, model: Model, scratch: Path, begin: Callable[[str], None]) -> Prepared:
    """Take the pictures, run FP32 over them, simplify and fold.

    Args:
        request: what is asked for.
        model: what was read.
        scratch: an empty folder.
        begin: told what begins.

    Raises:
        DocumentError: the pictures cannot be used.
        ModelFileError: the model does not run, or its outputs have no fixed size.
        OSError: something cannot be written.
    """
    spec = model.directory.spec
    begin("reading pictures")
    limits = Limits(request.pictures, request.pictures)
    ours, theirs = choose_pictures(spec.input, request.calibration, request.evaluation, limits)
    check_disjoint(ours.items, theirs.items)
    calibration = write_dataset(spec.input, ours, scratch / "calibration.npy", "--calibration")
    evaluation = write_dataset(spec.input, theirs, scratch / "evaluation.npy", "--evaluation")
    begin("running the FP32 reference")
    material = make_material(model, calibration, evaluation)
    begin("simplifying the graph")
    frames = evaluation.tensors()[list(material.frames)]
    folded = write_folded(model, frames, material.reference, scratch)
    said = (*calibration.warnings, *evaluation.warnings, *_said_of(request, calibration), *folded.warnings)
    quantised = model.graph is not None and recognise(model.graph).kind != "none"
    return Prepared(model, material, folded, quantised, scratch, said)


def _said_of(request: Request, calibration: Dataset) -> tuple[str, ...]:
    """What to say of the pictures that ranges are found on, if any are."""
    if request.precisions == ("fp32",):
        return ()
    if request.calibration is not None:
        return calibration_warnings(calibration)
    roles = "fitted to" if request.evaluation else "fitted to and judged on"
    said = (
        f"without --calibration, rounded forms were {roles} a synthetic road: they may count otherwise on your "
        "cameras; give --calibration with a clip, or 100 to 500 pictures, of theirs"
    )
    return (said,)
