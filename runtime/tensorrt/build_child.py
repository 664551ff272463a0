"""Builds one TensorRT engine in a process of its own: one file for any Python from 3.6 on that has NVIDIA's bindings.

    python3 build_child.py JOB.json

It does what the job says, call by call (`runtime.tensorrt.plan.BuildPlan`), and decides nothing. It is its own process,
for the builder takes much memory and the kernel may end it; niced, and the first that the kernel ends when memory runs
out. It imports nothing of edgetally, whose own Python may be too new for the bindings. JSON lines go to standard
output: ``{"progress": 0.0 to 1.0, "phase": "..."}`` while it builds, at last ``{"done": {...}}`` or
``{"error": "...", "kind": "model" | "device"}``. The engine is written to the job's ``engine`` and synced, the timing
cache replaced in one step.
"""
# ruff: noqa: UP006, UP035, UP045 - Python 3.6 reads this
# ruff: noqa: ANN401 - TensorRT's objects have no types here

import ctypes
import hashlib
import importlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

_HERE = Path(__file__).resolve().parent
_NICE = 10
_FIRST_TO_GO = "1000"  # oom_score_adj
_SHOWN_ERRORS = 3
_EVERY = 0.5  # seconds between reports of progress
_PR_SET_PDEATHSIG = 1


class ModelError(Exception):
    """TensorRT refuses the model."""


class DeviceError(Exception):
    """This box cannot build it."""


def build(job: Dict[str, Any], say: Callable[[Dict[str, Any]], None]) -> Dict[str, Any]:
    """Build the engine of a job; what came of it."""
    plan = job["plan"]
    trt = importlib.import_module(plan["module"])  # type: Any
    _check_version(plan["version"], trt.__version__)
    started = time.monotonic()
    logger = _logger(trt)
    builder = trt.Builder(logger)
    if builder is None:
        raise DeviceError(f"TensorRT {trt.__version__} does not start: {logger.reason()}; check the NVIDIA driver")
    if plan["module"] == "tensorrt":
        trt.init_libnvinfer_plugins(logger, "")  # its parser makes plugins of some ONNX operators
    network = _network(trt, builder, plan, logger, job["onnx"])
    if plan["float_layers"]:
        _hold_to_float(trt, network, set(plan["float_layers"]))
    config = builder.create_builder_config()
    _configure(trt, config, plan)
    cache = _Timings(config, job["timing_cache"]) if plan["timing_cache"] and job.get("timing_cache") else None
    if plan["progress_monitor"]:
        config.progress_monitor = _monitor(trt, say)
    serialised = builder.build_serialized_network(network, config)
    if serialised is None:
        raise DeviceError(f"TensorRT {trt.__version__} builds no engine: {logger.reason()}")
    if cache is not None:
        cache.keep()
    digest, size = _write(job["engine"], memoryview(serialised))
    return {"sha256": digest, "size": size, "seconds": time.monotonic() - started, "tensorrt": trt.__version__}


def _check_version(expected: str, came: str) -> None:
    wanted, found = expected.split("."), came.split(".")
    length = min(len(wanted), len(found))
    if wanted[:length] != found[:length]:
        raise DeviceError(f"expected TensorRT {expected}, this Python has {came}; name the Python that has it")


def _logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        """Keeps the errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors = []  # type: List[str]

        def log(self, severity: Any, msg: str) -> None:
            """Take a message."""
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(msg)
                sys.stderr.write(msg + "\n")

        def reason(self) -> str:
            """The first error, which is the cause; the rest follow from it."""
            return self.errors[0] if self.errors else "it gave no reason"

    return Logger()


def _network(trt: Any, builder: Any, plan: Dict[str, Any], logger: Any, onnx: str) -> Any:
    flags = 0
    for name in plan["network_flags"]:
        flags |= 1 << int(getattr(trt.NetworkDefinitionCreationFlag, name))
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(Path(onnx).read_bytes()):
        raise ModelError(_refusal(trt.__version__, parser, logger))
    return network


def _refusal(version: str, parser: Any, logger: Any) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    told = [_parser_error(error) for error in errors[:_SHOWN_ERRORS]] or [logger.reason()]
    more = f"; and {len(errors) - len(told)} more" if len(errors) > len(told) else ""
    return f"TensorRT {version} does not take the ONNX: {'; '.join(told)}{more}"


def _parser_error(error: Any) -> str:
    """With the node's name and operator where this TensorRT tells them (from 10.0 on), else its number."""
    name = error.node_name() if hasattr(error, "node_name") else ""
    operator = error.node_operator() if hasattr(error, "node_operator") else ""
    where = f"node {name!r}" if name else f"node {error.node()}"
    return f"{where} ({operator}): {error.desc()}" if operator else f"{where}: {error.desc()}"


def _hold_to_float(trt: Any, network: Any, names: Set[str]) -> None:
    """Let layers compute in FP32: those that the parser made of the ONNX nodes of these names."""
    found = set()  # type: Set[str]
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        node = _node_of(layer)
        if node not in names:
            continue
        found.add(node)
        outputs = range(layer.num_outputs)
        if all(layer.get_output(number).dtype == trt.DataType.FLOAT for number in outputs):
            layer.precision = trt.DataType.FLOAT
            for number in outputs:
                layer.set_output_type(number, trt.DataType.FLOAT)
    if not found:
        raise ModelError(f"TensorRT {trt.__version__} has none of the layers that have to stay FP32 ({min(names)} ...)")
    if names - found:
        sys.stderr.write(f"no layer for {len(names - found)} of {len(names)} nodes that have to stay FP32\n")


def _node_of(layer: Any) -> str:
    """The ONNX node that a layer was made of: from its metadata where it has them (from 8.6 on), else its name."""
    match = re.search(r"\[ONNX Layer: ([^\]]+)\]", getattr(layer, "metadata", "") or "")
    return match.group(1) if match else str(layer.name)


def _configure(trt: Any, config: Any, plan: Dict[str, Any]) -> None:
    if plan["workspace"] == "max_workspace_size":
        config.max_workspace_size = plan["workspace_bytes"]
    else:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, plan["workspace_bytes"])
    for name in plan["builder_flags"]:
        config.set_flag(getattr(trt.BuilderFlag, name))
    for name in plan["cleared_flags"]:
        config.clear_flag(getattr(trt.BuilderFlag, name))
    if plan["builder_optimization_level"] is not None:
        config.builder_optimization_level = plan["builder_optimization_level"]
    if plan["tactic_sources"] is not None:
        sources = 0
        for name in plan["tactic_sources"]:
            sources |= 1 << int(getattr(trt.TacticSource, name))
        if not config.set_tactic_sources(sources):
            raise DeviceError(f"TensorRT refuses the tactic sources {', '.join(plan['tactic_sources'])}")
    capabilities = plan["compute_capabilities"]
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
        for index, name in enumerate(capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), index)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the layers' types can be seen


class _Timings:
    """The timing cache: read where it fits, replaced in one step after the build."""

    def __init__(self, config: Any, path: str) -> None:
        self._config = config
        self._path = path
        try:
            old = Path(path).read_bytes()
        except OSError:
            old = b""
        self._cache = config.create_timing_cache(old)
        if self._cache is None or not config.set_timing_cache(self._cache, False):
            sys.stderr.write("the timing cache does not fit this GPU and TensorRT; beginning a new one\n")
            self._cache = config.create_timing_cache(b"")
            config.set_timing_cache(self._cache, False)

    def keep(self) -> None:
        """Write it, with what this build added."""
        part = f"{self._path}.{os.getpid()}.part"
        _write(part, memoryview(self._config.get_timing_cache().serialize()))
        Path(part).replace(self._path)


def _monitor(trt: Any, say: Callable[[Dict[str, Any]], None]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Tells how far the build is: the phases that run, each a step of the one above it."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._running = []  # type: List[List[Any]]
            self._said = 0.0
            self._furthest = 0.0

        def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
            """A phase begins."""
            del parent_phase
            self._running.append([phase_name, max(1, int(num_steps)), 0])
            self._report()

        def step_complete(self, phase_name: str, step: int) -> bool:
            """A step of a phase is done; go on."""
            for phase in self._running:
                if phase[0] == phase_name:
                    phase[2] = int(step) + 1
            self._report()
            return True

        def phase_finish(self, phase_name: str) -> None:
            """A phase ends."""
            self._running = [phase for phase in self._running if phase[0] != phase_name]

        def _report(self) -> None:
            if time.monotonic() - self._said < _EVERY:
                return
            self._said = time.monotonic()
            fraction, share = 0.0, 1.0
            for _, steps, done in self._running:
                fraction += share * min(1.0, done / steps)
                share /= steps
            self._furthest = max(self._furthest, min(fraction, 1.0))
            say({"progress": self._furthest, "phase": self._running[-1][0] if self._running else ""})

    return Monitor()


def _write(path: str, content: Any) -> Any:
    digest = hashlib.sha256(content)
    with Path(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), len(content)


def _behave(parent: int) -> None:
    """Step back behind everybody else, and end with the process that started this one."""
    os.nice(_NICE)
    try:
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"this system keeps no such order: {error}\n")
    if os.getppid() != parent:
        sys.exit(1)  # it was gone before this could be asked for


def main(arguments: List[str]) -> int:
    """Build what the job file says."""
    out = os.dup(1)
    os.dup2(2, 1)  # nothing that a library prints may get between the lines

    def say(message: Dict[str, Any]) -> None:
        os.write(out, json.dumps(message).encode("ascii") + b"\n")

    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    _behave(job["parent"])
    try:
        say({"done": build(job, say)})
    except ModelError as error:
        say({"error": str(error), "kind": "model"})
        return 1
    except DeviceError as error:
        say({"error": str(error), "kind": "device"})
        return 1
    except Exception as error:  # noqa: BLE001 - whatever happens here, the other side is told
        say({"error": f"{type(error).__name__}: {error}", "kind": "device"})
        return 1
    return 0


if __name__ == "__main__":
    # This file's own folder is not a place to import from: its neighbours are edgetally's.
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != _HERE]
    sys.exit(main(sys.argv[1:]))
