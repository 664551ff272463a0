"""Reading a TFLite file's operators and tensors, and giving its inputs and outputs their names back."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from contracts.errors import ModelFileError
from converters.read import first_line

_IDENTIFIER = b"TFL3"  # of schema version 3
_DTYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.FLOAT16: "float16",
    schema.TensorType.INT32: "int32",
    schema.TensorType.UINT8: "uint8",
    schema.TensorType.INT64: "int64",
    schema.TensorType.BOOL: "bool",
    schema.TensorType.INT16: "int16",
    schema.TensorType.INT8: "int8",
}
_KINDS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int) and name.isupper()}


@dataclass(frozen=True)
class Tensor:
    """A tensor: its name, NumPy dtype name, shape, and whether the file holds its values."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    constant: bool


@dataclass(frozen=True)
class Operator:
    """An operator: kind (``CONV_2D``), version, and the tensors that it reads and makes, absent ones left out."""

    kind: str
    version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Graph:
    """The main subgraph of a file, operators in the order that they run in."""

    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @cached_property
    def producers(self) -> Mapping[str, Operator]:
        """Name of a tensor to the operator that makes it."""
        return {tensor.name: operator for operator in self.operators for tensor in operator.outputs}


def read_graph(file: Path) -> Graph:
    """Read a file that one of our toolchains wrote.

    Raises:
        ModelFileError: it is no TFLite file, or has more than one subgraph.
    """
    with _reading(file):
        return _graph(_parse(file))


def _graph(model: schema.ModelT) -> Graph:
    subgraph = model.subgraphs[0]
    tensors = [_tensor(model, tensor) for tensor in subgraph.tensors]

    def pick(indices: Iterable[int] | None) -> tuple[Tensor, ...]:
        return tuple(tensors[index] for index in ([] if indices is None else indices) if index >= 0)

    operators = []
    for operator in subgraph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = _KINDS.get(number, str(number))
        operators.append(Operator(kind, code.version, pick(operator.inputs), pick(operator.outputs)))
    inputs, outputs = (_named(model, end, pick(end)) for end in (subgraph.inputs, subgraph.outputs))
    return Graph(tuple(operators), inputs, outputs)


def rename_ends(file: Path, names: Mapping[str, str]) -> None:
    """Give the inputs and outputs other names, those of their tensors and those of the signature.

    Args:
        file: is written anew; as onnx2tf writes it, with all weights inside the flatbuffer.
        names: present name to new name.

    Raises:
        ModelFileError: it is no TFLite file.
        StorageError: it cannot be written.
    """
    with _reading(file):
        model = _parse(file)
    tensors = model.subgraphs[0].tensors
    for end in (model.subgraphs[0].inputs, model.subgraphs[0].outputs):
        for index in end:
            name = tensors[index].name.decode()
            tensors[index].name = names.get(name, name).encode()
    for signature in model.signatureDefs or []:
        for end in (*(signature.inputs or []), *(signature.outputs or [])):
            name = end.name.decode()
            end.name = names.get(name, name).encode()
    builder = flatbuffers.Builder(file.stat().st_size)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    file.write_bytes(builder.Output())


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """What a damaged flatbuffer raises shares no base class: make one sentence of it."""
    try:
        yield
    except (struct.error, ArithmeticError, ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        raise ModelFileError(
            f"{file}: expected a TFLite file, this is something else or damaged ({first_line(error)}); "
            "convert the model again"
        ) from error


def _parse(file: Path) -> schema.ModelT:
    content = file.read_bytes()
    if content[4:8] != _IDENTIFIER:
        raise ModelFileError(f"{file}: expected a TFLite file, it does not begin as one; convert the model again")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if len(model.subgraphs) != 1:
        raise ModelFileError(
            f"{file}: expected one subgraph, got {len(model.subgraphs)}; export the model without If and Loop"
        )
    return model


def _named(model: schema.ModelT, indices: Iterable[int], ends: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Inputs or outputs under the names that the signature gives them.

    A quantiser puts an operator of its own behind an output and names that one's tensor after it.
    """
    names = {
        end.tensorIndex: end.name.decode(errors="replace")
        for signature in model.signatureDefs or []
        for end in (*(signature.inputs or []), *(signature.outputs or []))
    }
    return tuple(replace(end, name=names.get(index, end.name)) for index, end in zip(indices, ends, strict=True))


def _tensor(model: schema.ModelT, tensor: schema.TensorT) -> Tensor:
    buffer = model.buffers[tensor.buffer]
    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    return Tensor(
        name=tensor.name.decode(errors="replace"),
        dtype=_DTYPES.get(tensor.type, f"type {tensor.type}"),
        shape=shape,
        # Where weights are many they lie behind the flatbuffer, at an offset.
        constant=bool(buffer.offset > 1 or (buffer.data is not None and len(buffer.data))),
    )
