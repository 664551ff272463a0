"""A model directory's model: read, checked, and run in FP32 as it was given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelFileError
from contracts.manifest import Source
from converters.fold import fold
from converters.quantize.graph import mark_first_stage, normalised
from converters.read import external_files, input_name, opset, output_shapes, read_onnx
from converters.reference import prepared, run_onnx
from converters.simplify import simplify
from converters.stages import HOST_FILE, cut, with_ends
from runtime.bundle import sha256
from runtime.model_dir import ModelDir
from runtime.results import Tensors

if TYPE_CHECKING:
    import onnx


_AT_ONCE = 64  # pictures whose outputs are held in memory


@dataclass(frozen=True)
class Model:
    """A model that was read and checked against its model.toml.

    Args:
        directory: where it is, and its model.toml.
        input_name: its one input.
        graph: the checked ONNX; None where the file is an OpenVINO IR.
        changed: whether the graph is not the file's: it has another size, or gives out what the first stage hands on.
    """

    directory: ModelDir
    input_name: str
    graph: onnx.ModelProto | None
    changed: bool = False

    def run(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[Tensors]:
        """What the file as it was given computes in FP32; of a model in stages also what the first hands on.

        Args:
            frames: uint8 ``(height, width, 3)`` BGR each, as the artifacts take them.

        Raises:
            ModelFileError: it does not run, or an output is no tensor of finite numbers.
        """
        file, spec = self.directory.model_file, self.directory.spec.input
        inputs = (prepared(frame[np.newaxis], spec) for frame in frames)
        while some := list(islice(inputs, _AT_ONCE)):
            if self.graph is not None:
                ran = self.graph.SerializeToString() if self.changed else file
                yield from run_onnx(file, ran, self.input_name, some)
            else:
                from converters.ir import read_ir, run_ir

                yield from run_ir(file, read_ir(file), some)


def open_model(directory: ModelDir, *, refit: bool = False) -> Model:
    """Read the model and check it against model.toml.

    Args:
        directory: where it is.
        refit: whether the model may be given another size than it was exported with.

    Raises:
        ModelFileError: it cannot be taken as it is.
    """
    file, spec = directory.model_file, directory.spec.input
    if file.suffix == ".onnx":
        graph = read_onnx(file, spec, refit=refit)
        ends = directory.spec.cut_at
        shown = with_ends(file, graph, ends) if ends else graph
        return Model(directory, input_name(graph), shown, refit or bool(ends))
    if directory.spec.stage:
        raise ModelFileError(f"{file}: only ONNX files can be cut into stages, got {file.suffix}; export to ONNX")
    if file.suffix == ".xml":
        from converters.ir import check_ir, read_ir

        return Model(directory, check_ir(file, read_ir(file), spec), None)
    raise ModelFileError(f"{file}: expected model.onnx or model.xml, no target takes {file.suffix}; export to ONNX")


@dataclass(frozen=True)
class Folded:
    """What every ONNX family starts from.

    Args:
        file: ONNX with the preparation folded in, of the first stage where there are two; None for an IR.
        rest: ONNX of the stage that follows on the host processor, if any.
        warnings: what a person should know.
    """

    file: Path | None = None
    rest: Path | None = None
    warnings: tuple[str, ...] = ()


def write_folded(model: Model, frames: NDArray[np.uint8], reference: Sequence[Tensors], folder: Path) -> Folded:
    """Simplify the graph, fold the preparation in and write it, and the stage that follows beside it.

    Args:
        model: what was read.
        frames: uint8 ``(n, height, width, 3)`` BGR: simplifying has to change nothing on them.
        reference: what the model gave for them.
        folder: where it is written.

    Raises:
        ModelFileError: an output of the first stage has no fixed size even after simplifying, or the network cannot be
            cut where model.toml says.
    """
    if model.graph is None:
        return Folded()
    import onnx

    file, spec = model.directory.model_file, model.directory.spec.input
    inputs = [prepared(frame[np.newaxis], spec) for frame in frames]
    graph, rest = _stages(model, folder)
    wanted = [value.name for value in graph.graph.output]
    graph, warning = simplify(file, graph, inputs, [{name: run[name] for name in wanted} for run in reference])
    output_shapes(file, graph)
    path = folder / "folded.onnx"
    # Every node has a name from here on: exclusion lists go by them.
    folded = normalised(fold(graph, spec))
    if rest:
        mark_first_stage(folded)
    onnx.save(folded, path)
    return Folded(path, rest, (warning,) if warning else ())


def _stages(model: Model, folder: Path) -> tuple[onnx.ModelProto, Path | None]:
    """The stage that takes the picture, and the file of the one that follows."""
    import onnx

    ends = model.directory.spec.cut_at
    assert model.graph is not None  # asked by the caller
    if not ends:
        return model.graph, None
    first, rest = cut(model.directory.model_file, model.graph, ends)
    onnx.save(rest, folder / HOST_FILE)
    return first, folder / HOST_FILE


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
    )
