"""A model directory's model, read and run once in FP32 as it was given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.errors import ModelFileError
from contracts.manifest import Source
from converters.fold import fold
from converters.frames import Frames
from converters.read import external_files, input_name, opset, output_shapes, read_onnx
from converters.reference import prepared, run_onnx
from converters.simplify import simplify
from runtime.bundle import sha256
from runtime.model_dir import ModelDir
from runtime.results import Tensors

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Model:
    """A model and what it computes.

    Args:
        directory: where it is, and its model.toml.
        input_name: its one input.
        frames: the frames that it was run on.
        reference: its outputs for each of them, in FP32.
        graph: the checked ONNX; None where the file is an OpenVINO IR.
    """

    directory: ModelDir
    input_name: str
    frames: Frames
    reference: list[Tensors]
    graph: onnx.ModelProto | None


def open_model(directory: ModelDir, frames: Frames) -> Model:
    """Read the model, check it against model.toml and run it on the frames.

    Raises:
        ModelFileError: it cannot be taken as it is.
    """
    file, spec = directory.model_file, directory.spec.input
    inputs = [prepared(frame, spec) for frame in frames.tensors]
    if file.suffix == ".onnx":
        graph = read_onnx(file, spec)
        name = input_name(graph)
        return Model(directory, name, frames, run_onnx(file, file, name, inputs), graph)
    if file.suffix == ".xml":
        from converters.ir import check_ir, read_ir, run_ir

        ir = read_ir(file)
        name = check_ir(file, ir, spec)
        return Model(directory, name, frames, run_ir(file, ir, inputs), None)
    raise ModelFileError(f"{file}: expected model.onnx or model.xml, no target takes {file.suffix}; export to ONNX")


def write_folded(model: Model, folder: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Simplify the graph, fold the preparation in and write it.

    Returns:
        The ONNX file (None where the model is an IR) and warnings.

    Raises:
        ModelFileError: an output has no fixed size even after simplifying.
    """
    if model.graph is None:
        return None, ()
    import onnx

    file, spec = model.directory.model_file, model.directory.spec.input
    inputs = [prepared(frame, spec) for frame in model.frames.tensors]
    graph, warning = simplify(file, model.graph, inputs, model.reference)
    output_shapes(file, graph)
    path = folder / "folded.onnx"
    onnx.save(fold(graph, spec), path)
    return path, (warning,) if warning else ()


def source_digest(file: Path) -> str:
    """SHA-256 of what the model was read from.

    Of the file, where that is all; else (an IR's .bin, weights beside an ONNX) of the digests of all parts in order,
    64 hexadecimal digits each.
    """
    others = external_files(file) if file.suffix == ".onnx" else [file.with_suffix(".bin")]
    digests = [sha256(part) for part in (file, *others)]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if others else digests[0]


def describe(model: Model) -> Source:
    """What the manifest says of where the bundle came from."""
    file, graph = model.directory.model_file, model.graph
    return Source(
        file=file.name,
        sha256=source_digest(file),
        opset=opset(graph) if graph else None,
        ir_version=graph.ir_version if graph else None,
        producer=f"{graph.producer_name} {graph.producer_version}".strip() if graph else "",
        frames=model.frames.origin,
        frames_sha256=model.frames.sha256,
    )
