"""Compiling a context binary in a child process, and reading back what it wrote."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from contracts.errors import ModelFileError
from converters.processes import last_line, signal_name
from converters.read import MAX_IR, first_line

TIME_LIMIT_S = 900.0
LAYERS = "edgetally.qnn.layers"

_ROOT = Path(__file__).parents[2]
_LONGEST_LOG = 1 << 20
_UNSUPPORTED = re.compile(r"\{ name: ([^,{}]*), type: (\w+) \}")
_NAMED = 3
_COMPATIBILITY = re.compile(r"v2:\d+:[\d.]+:[\d.]+:(?P<arch>\d+):(?P<soc>\d+):")

# Qnn_DataType_t of QnnTypes.h.
_KINDS = {0x0408: "int8", 0x0308: "int8", 0x0416: "int16", 0x0316: "int16", 0x0216: "f16", 0x0232: "f16"}
_WORKING = frozenset({"Conv2d", "DepthWiseConv2d", "TransposeConv2d", "FullyConnected", "MatMul", "Conv3d"})


@dataclass(frozen=True)
class Context:
    """A context binary, read back.

    Args:
        model: the ONNX around it, of one EPContext node.
        sdk: version of the QAIRT SDK that wrote it, such as ``2.51.0.260929181845``.
        layers: convolutions and products by the element type of their result; HTP computes floats in FP16.
    """

    model: onnx.ModelProto
    sdk: str
    layers: Mapping[str, int]


def compile_context(
    source: Path, model: Path, entry: Path, settings: Mapping[str, str], *, time_limit_s: float = TIME_LIMIT_S
) -> Context:
    """Compile a model for one processor.

    Args:
        source: the file that a person knows, for an error's text.
        model: quantised or FP32 ONNX, uint8 in.
        entry: the ONNX file to write; the binary goes beside it.
        settings: of the provider: ``htp_arch``, ``soc_model`` and what else it knows.
        time_limit_s: seconds that it may take.

    Raises:
        ModelFileError: HTP does not take the whole model (the nodes are named), or the compiler fails or crashes.
    """
    with tempfile.TemporaryDirectory(prefix="edgetally-qnn-") as name:
        folder = Path(name)
        (folder / "graph").mkdir()
        job = {"model": str(model), "context": str(entry), "graph": str(folder / "graph"), "settings": dict(settings)}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _run(source, [sys.executable, "-m", "converters.qnn.worker", str(folder / "job.json")], time_limit_s)
        layers = _layers(folder / "graph")
    return _read_back(source, entry, settings, layers)


def _run(source: Path, command: list[str], time_limit_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=time_limit_s, check=False, cwd=_ROOT)  # noqa: S603 - ours
    except subprocess.TimeoutExpired:
        raise ModelFileError(
            f"{source}: QNN's compiler took more than {time_limit_s:g} s; choose another target or a smaller model"
        ) from None
    if done.returncode != 0:
        raise ModelFileError(f"{source}: {compiler_said(done.returncode, done.stderr[-_LONGEST_LOG:])}")


def compiler_said(code: int, log: bytes) -> str:
    """What a person can use of a failed compilation.

    Args:
        code: the process's exit code; the negative number of a signal where one ended it.
        log: its stderr, whatever it holds.
    """
    if code < 0:
        return f"QNN's compiler was ended by {signal_name(-code)}; choose another target or export the model again"
    lines = [line for line in log.decode(errors="replace").splitlines() if "Unsupported nodes in QNN EP" in line]
    nodes = list(dict.fromkeys(_UNSUPPORTED.findall(lines[-1]))) if lines else []
    if nodes:
        shown = ", ".join(f"{kind} {name!r}" for name, kind in nodes[:_NAMED])
        more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
        return f"HTP does not take {shown}{more}, which would run on the CPU; export without, or choose another target"
    last = last_line(log) or f"exit code {code}"
    return f"QNN's compiler refuses it ({last}); choose another target or export the model again"


def _layers(folder: Path) -> dict[str, int]:
    """Working layers by element type, from QNN's own account of the graph that it compiled."""
    found: dict[str, int] = {}
    for file in folder.glob("*.json"):
        if file.name.endswith("_tensor_log.json"):
            continue
        graph = json.loads(file.read_text(encoding="utf-8"))["graph"]
        for node in graph["nodes"].values():
            if node["type"] in _WORKING:
                kind = graph["tensors"][node["output_names"][0]]["data_type"]
                name = _KINDS.get(kind, f"0x{kind:04x}")
                found[name] = found.get(name, 0) + 1
    return found


def _read_back(source: Path, entry: Path, settings: Mapping[str, str], layers: Mapping[str, int]) -> Context:
    try:
        model = onnx.load(entry, load_external_data=False)
    except Exception as error:  # its exceptions share no base class
        raise ModelFileError(f"{source}: QNN's compiler wrote no context ({first_line(error)}); try again") from error
    contexts = [node for node in model.graph.node if node.op_type == "EPContext"]
    if len(contexts) != 1 or len(model.graph.node) != 1:
        left = ", ".join(f"{node.op_type} {node.name!r}" for node in model.graph.node if node not in contexts)
        raise ModelFileError(
            f"{source}: expected one context for the whole model, got {len(contexts)}"
            f"{' and, left for the CPU, ' + left if left else ''}; choose another target"
        )
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in contexts[0].attribute}
    binary = attributes.get("ep_cache_context", b"").decode(errors="replace")
    if "/" in binary or not (entry.parent / binary).is_file():
        raise ModelFileError(f"{source}: expected the context {binary!r} beside {entry.name}, there is none; try again")
    _check_processor(source, model, settings)
    version = attributes.get("ep_sdk_version", b"").decode(errors="replace").removeprefix("v")
    _make_readable(model)
    return Context(model, version, layers)


def _check_processor(source: Path, model: onnx.ModelProto, settings: Mapping[str, str]) -> None:
    """The library takes an unknown architecture and compiles for another one: compare what it says it did."""
    said = next((entry.value for entry in model.metadata_props if entry.key.startswith("ep_compatibility_info.")), "")
    match = _COMPATIBILITY.match(said)
    if match and (match["arch"], match["soc"]) != (settings["htp_arch"], settings["soc_model"]):
        raise ModelFileError(
            f"{source}: expected a context for htp_arch {settings['htp_arch']}, soc_model {settings['soc_model']}, "
            f"QNN compiled for {match['arch']}, {match['soc']}; build with another version of onnxruntime-qnn"
        )


def _make_readable(model: onnx.ModelProto) -> None:
    """Take back the newest IR version and the operator sets that nothing uses, which older runtimes refuse."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.ir_version = min(model.ir_version, MAX_IR)
