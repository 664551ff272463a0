"""The network of `tests.integration.squares` for three runtimes: one bundle, an artifact for each.

The TFLite file is put together by hand, as the network is, so that no toolchain is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.manifest import MANIFEST_NAME, manifest_digest
from tests.fakes.bundles import entry
from tests.integration.squares import SIDE, SQUARE, STEP, network_constants, write_bundle

ARTIFACTS = ("x86-openvino/fp32", "x86-onnxruntime/fp32", "x86-tflite/fp32")


def write_bundle_for_all(root: Path, *, version: str = "1.0.0", blind_from: int = SIDE) -> Path:
    """A bundle with `ARTIFACTS`, each other bytes in each version.

    Args:
        root: its folder.
        version: of the model.
        blind_from: pixels from the left, from where on it sees nothing; the golden sample's square lies before it.
    """
    write_bundle(root, version=version, blind_from=blind_from)
    document = json.loads((root / MANIFEST_NAME).read_text())
    (onnx_row,) = document["artifacts"]
    files = {
        "openvino": _openvino(root / onnx_row["entry"], root / "openvino", version),
        "tflite": [write_tflite(root / "model.tflite", version, (blind_from, SIDE))],
    }
    document["artifacts"] += [_row(root, onnx_row, backend, made) for backend, made in files.items()]
    document["digest"] = manifest_digest(document)
    (root / MANIFEST_NAME).write_text(json.dumps(document))
    return root


def _row(root: Path, like: dict[str, Any], backend: str, files: list[Path]) -> dict[str, Any]:
    name = f"x86-{backend}/fp32"
    entries = [entry(root, f"artifacts/{name}/{file.name}", file.read_bytes()) for file in files]
    new = {"id": name, "target": f"x86-{backend}", "backend": backend, "files": entries}
    return like | new | {"entry": entries[0]["path"]}


def _openvino(source: Path, folder: Path, version: str) -> list[Path]:
    from runtime.backends.quiet_openvino import ov

    model = ov.convert_model(source)
    model.set_friendly_name(f"squares-{version}")
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return [folder / "model.xml", folder / "model.bin"]


def write_tflite(path: Path, version: str, blind: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """The network as a TFLite file: ``image`` to ``boxes``.

    Args:
        path: of the file.
        version: of the model, which stands in it.
        blind: see `network_constants`.
    """
    held = network_constants(blind)
    places = (SIDE - SQUARE) // STEP + 1
    count = held["corners"].shape[2]
    graph = _Graph(version)
    x = graph.made("image", (1, SIDE, SIDE, 3), "UINT8")
    x = graph.add("CAST", [x], (1, SIDE, SIDE, 3))
    x = graph.add("MEAN", [x, graph.constant(np.array([3], np.int32))], (1, SIDE, SIDE, 1), Reducer={"keepDims": True})
    pool = {"strideW": STEP, "strideH": STEP, "filterWidth": SQUARE, "filterHeight": SQUARE, "padding": 1}
    x = graph.add("AVERAGE_POOL_2D", [x], (1, places, places, 1), Pool2D=pool)
    x = graph.add("SUB", [x, graph.constant(held["least"])], (1, places, places, 1), Sub={"fusedActivationFunction": 1})
    x = graph.add("DIV", [x, graph.constant(held["scale"])], (1, places, places, 1), Div={})
    x = graph.add("MINIMUM", [x, graph.constant(np.array(1.0, np.float32))], (1, places, places, 1), MaximumMinimum={})
    shape = held["shape"].astype(np.int32)
    x = graph.add("RESHAPE", [x, graph.constant(shape)], (1, 1, count, 1), Reshape={"newShape": shape.tolist()})
    x = graph.add("MUL", [x, graph.constant(held["seen"])], (1, 1, count, 1), Mul={})
    columns = [graph.constant(held["zeros"]), graph.constant(held["label"]), x, graph.constant(held["corners"])]
    x = graph.add("CONCATENATION", columns, (1, 1, count, 7), Concatenation={"axis": 3})
    path.write_bytes(graph.written({"image": 0}, {"boxes": x}))
    return path


class _Graph:
    """A TFLite file in the making; tensors are numbers."""

    def __init__(self, description: str) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._graph, self._model = schema.SubGraphT(), schema.ModelT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.version, self._model.description = 3, description.encode()
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []

    def made(self, name: str, shape: tuple[int, ...], kind: str = "FLOAT32", buffer: int = 0) -> int:
        """A tensor."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), list(shape), buffer
        tensor.type = getattr(self._schema.TensorType, kind)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, value: NDArray[Any]) -> int:
        """A tensor that is given."""
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(value.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        number = len(self._model.buffers) - 1
        return self.made(f"constant{number}", value.shape, value.dtype.name.upper(), number)

    def add(self, code: str, inputs: list[int], shape: tuple[int, ...], **options: dict[str, Any]) -> int:
        """An operator; its output."""
        made, operator = self._schema.OperatorCodeT(), self._schema.OperatorT()
        made.builtinCode = made.deprecatedBuiltinCode = getattr(self._schema.BuiltinOperator, code)
        made.version = 1
        self._model.operatorCodes.append(made)
        operator.opcodeIndex, operator.inputs = len(self._model.operatorCodes) - 1, inputs
        operator.outputs = [self.made(f"{code}{operator.opcodeIndex}", shape)]
        for name, values in options.items():
            operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, f"{name}Options")
            operator.builtinOptions = getattr(self._schema, f"{name}OptionsT")()
            vars(operator.builtinOptions).update(values)
        self._graph.operators.append(operator)
        return int(operator.outputs[0])

    def written(self, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """The file."""
        import flatbuffers

        signature = self._schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        signature.inputs, signature.outputs = self._ends(inputs), self._ends(outputs)
        self._graph.inputs, self._graph.outputs = list(inputs.values()), list(outputs.values())
        self._model.subgraphs, self._model.signatureDefs = [self._graph], [signature]
        builder = flatbuffers.Builder(65536)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _ends(self, tensors: dict[str, int]) -> list[Any]:
        made = []
        for name, index in tensors.items():
            end = self._schema.TensorMapT()
            end.name, end.tensorIndex = name.encode(), index
            made.append(end)
        return made
