"""Simplifying the graph with onnxslim, which is believed only when its result computes the same.

It runs in a process of its own under a time limit, because simplifiers have crashed and hung on real models. Whatever
goes wrong costs a warning and nothing else: the graph stays as it was.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx

from contracts.errors import ModelFileError
from converters.parity import worst_errors
from converters.read import MAX_IR, MAX_OPSET, first_line, input_name, opset
from converters.reference import run_onnx
from runtime.results import Array, Tensors

TIME_LIMIT_S = 120.0
SAME = 1e-4  # of an output's range; fusing a batch norm changes the last bits only, 2e-6 on yolox-nano


def simplify(
    file: Path,
    model: onnx.ModelProto,
    inputs: Sequence[Array],
    reference: Sequence[Tensors],
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> tuple[onnx.ModelProto, str | None]:
    """Simplify a model.

    Args:
        file: the model that a person knows, for the warning's text.
        model: static, as `converters.read.read_onnx` gives it.
        inputs: what the network takes, one array a frame.
        reference: what the original gave for them.
        time_limit_s: seconds that onnxslim may take.

    Returns:
        The simplified model and None, or the model as it came and a warning that says why.
    """
    try:
        slim = _run_onnxslim(model, time_limit_s)
        _check_same(file, model, slim, inputs, reference)
    except _NotSimplifiedError as error:
        return model, f"{file.name}: the graph was left unsimplified: {error}"
    return slim, None


class _NotSimplifiedError(Exception):
    """Why the simplified graph is not used; never leaves this module."""


def _run_onnxslim(model: onnx.ModelProto, time_limit_s: float) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="edgetally-simplify-") as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(model, before)
        command = [sys.executable, "-m", "onnxslim", str(before), str(after)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=time_limit_s, check=False)  # noqa: S603 - ours
        except subprocess.TimeoutExpired:
            raise _NotSimplifiedError(f"onnxslim took more than {time_limit_s:g} s") from None
        if done.returncode != 0 or not after.is_file():
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise _NotSimplifiedError(f"onnxslim ended with {done.returncode} {''.join(last)[:200]}".rstrip())
        try:
            slim = onnx.load(after)
            onnx.checker.check_model(slim, full_check=True)
        except Exception as error:  # noqa: BLE001 - a checker's errors share no base class; it becomes a warning
            raise _NotSimplifiedError(f"onnxslim wrote an invalid model ({first_line(error)})") from None
    return slim


def _check_same(
    file: Path, model: onnx.ModelProto, slim: onnx.ModelProto, inputs: Sequence[Array], reference: Sequence[Tensors]
) -> None:
    if [value.name for value in slim.graph.input] != [value.name for value in model.graph.input]:
        raise _NotSimplifiedError("onnxslim changed the inputs")
    if [value.name for value in slim.graph.output] != [value.name for value in model.graph.output]:
        raise _NotSimplifiedError("onnxslim changed the outputs")
    if slim.ir_version > MAX_IR or opset(slim) > MAX_OPSET:
        raise _NotSimplifiedError("onnxslim raised the opset or IR version")
    try:
        results = run_onnx(file, slim.SerializeToString(), input_name(slim), inputs)
    except ModelFileError as error:
        raise _NotSimplifiedError(f"the result does not run ({error})") from None
    errors = worst_errors(results, reference)
    output = max(errors, key=lambda name: errors[name])
    if not errors[output] <= SAME:
        raise _NotSimplifiedError(f"its output {output!r} changed by {errors[output]:.2g} of its range")
