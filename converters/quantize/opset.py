"""Bringing a model to an operator set that a runtime reads."""

from __future__ import annotations

import onnx
from onnx import version_converter

from contracts.errors import ModelFileError
from converters.read import MAX_IR, first_line, opset

_STABLE = 13  # Softmax changed its meaning there for the last time


def at_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """A copy in that opset, IR version as low as it allows.

    Where no operator changed between the two, only the number is written: converting rewrites more than it has to. So
    it is on the way down to opset 13 at least, where the converter knows no way for most operators: from 13 to 21 the
    forms that two opsets share mean the same, and the checker refuses what the older has not.

    Raises:
        ModelFileError: an operator cannot be converted.
    """
    same = all(_since(node, opset(model)) == _since(node, version) for node in model.graph.node)
    if same or (_STABLE <= version < opset(model)):
        written = _labelled(model, version)
        if same or _is_valid(written):
            return written
    try:
        converted = version_converter.convert_version(model, version)
        onnx.checker.check_model(converted, full_check=True)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(
            f"expected a model that can be written in opset {version}, got one in opset {opset(model)} "
            f"({first_line(error)}); export it with opset {version}, or choose another target"
        ) from error
    return _labelled(converted, version)


def _labelled(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for entry in result.opset_import:
        if entry.domain in {"", "ai.onnx"}:
            entry.version = version
    result.ir_version = min(MAX_IR, int(onnx.helper.find_min_ir_version_for(result.opset_import)))
    return result


def _is_valid(model: onnx.ModelProto) -> bool:
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception:  # noqa: BLE001 - its exceptions share no base class
        return False
    return True


def _since(node: onnx.NodeProto, version: int) -> int | None:
    """The opset in which the operator got the form that it has in this one; None where it does not exist there."""
    try:
        return int(onnx.defs.get_schema(node.op_type, version, node.domain).since_version)
    except onnx.defs.SchemaError:
        return None
