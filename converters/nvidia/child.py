"""Asks TensorRT for RTX, in a process of its own: its libraries are large, native, and may end the process.

``python -m converters.nvidia.child``: a JSON job on stdin (``onnx``, ``engine`` or null, ``compute``), a JSON answer on
stdout, as `converters.nvidia.parser` writes and reads them. No GPU is needed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_WORKING = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")
_TYPES = {"FLOAT": "f32", "HALF": "f16", "BF16": "bf16"}


def main() -> int:
    """Answer one job."""
    job = json.loads(sys.stdin.read())
    import tensorrt_rtx as trt

    json.dump(_answer(trt, job), sys.stdout)
    return 0


def _answer(trt: Any, job: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - the module has no types
    log = _log(trt)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(Path(job["onnx"]).read_bytes()):
        errors = [parser.get_error(number) for number in range(parser.num_errors)]
        return {"error": [f"node {error.node_name()!r} ({error.node_operator()}): {error.desc()}" for error in errors]}
    config = builder.create_builder_config()
    if job["compute"]:
        config.num_compute_capabilities = len(job["compute"])
        for number, name in enumerate(job["compute"]):
            if not config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{name}"), number):
                return {"error": [f"compute capability {name} is refused"]}
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return {"error": log.errors or ["the builder gave no reason"]}
    content = bytes(plan)
    if job["engine"]:
        Path(job["engine"]).write_bytes(content)
    return {"version": trt.__version__, "size": len(content), "layers": _layers(network), "inputs": _inputs(network)}


def _log(trt: Any) -> Any:  # noqa: ANN401 - the module has no types
    class Log(trt.ILogger):  # type: ignore[misc] # the module has no types
        """Keeps errors; everything else is dropped."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            if severity in {trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR}:
                self.errors.append(message)

    return Log()


def _inputs(network: Any) -> list[str]:  # noqa: ANN401 - the module has no types
    return [network.get_input(number).dtype.name for number in range(network.num_inputs)]


def _layers(network: Any) -> dict[str, int]:  # noqa: ANN401 - the module has no types
    """How many layers that do the work compute in which type, as the network says before it is fused.

    One is int8 where both its inputs come from DequantizeLinear: TensorRT fuses these.
    """
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    givers = {layer.get_output(place).name: layer for layer in layers for place in range(layer.num_outputs)}
    found: dict[str, int] = {}
    for layer in layers:
        if layer.type.name not in _WORKING:
            continue
        inputs = [layer.get_input(place) for place in range(min(2, layer.num_inputs))]
        given = [givers[tensor.name].type.name for tensor in inputs if tensor is not None and tensor.name in givers]
        kind = _TYPES.get(layer.get_output(0).dtype.name, layer.get_output(0).dtype.name.lower())
        key = "int8" if given == ["DEQUANTIZE"] * 2 else kind
        found[key] = found.get(key, 0) + 1
    return found


if __name__ == "__main__":
    sys.exit(main())
