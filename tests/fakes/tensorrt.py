"""A stand-in for NVIDIA's module ``tensorrt``: which calls exist in which version, what they refuse, in what order.

It computes nothing but copies and doubles, so that the way of a tensor can be followed, and never produces a figure.
Valid for Python 3.6: tests put a copy of it on the path of older interpreters too. ``FAKE_TENSORRT`` (a JSON object)
chooses what it does, or `fake_tensorrt` in the same process. Its engines are a plan header and a JSON object.
"""
# ruff: noqa: UP006, UP035, UP045 - Python 3.6 reads this, and the names are NVIDIA's

import ctypes
import importlib.util
import json
import os
import signal
import time
from abc import ABC, abstractmethod
from typing import Any, Dict, List, Optional, Tuple

CONFIG = json.loads(os.environ.get("FAKE_TENSORRT", "{}"))  # type: Dict[str, Any]
CALLS = []  # type: List[str]
SUBMIT = None  # type: Any

_HEADER = 28
_WIDTHS = {"FLOAT": 4, "HALF": 2, "INT8": 1, "UINT8": 1, "INT32": 4, "INT64": 8, "BOOL": 1}
TENSORS = [
    {"name": "image", "mode": "INPUT", "dtype": "UINT8", "shape": [1, 4, 4, 3]},
    {"name": "out", "mode": "OUTPUT", "dtype": "UINT8", "shape": [1, 4, 4, 3]},
]  # type: List[Dict[str, Any]]


def fake_tensorrt(**config: Any) -> Any:
    """A fresh module that behaves so; ``version`` defaults to 10.3.0."""
    spec = importlib.util.spec_from_file_location("fake_tensorrt", __file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CONFIG.update(config)
    module.arrange()
    return module


def make_engine(
    version: str = "10.3.0.30",
    tensors: Optional[List[Dict[str, Any]]] = None,
    magic: bytes = b"ftrt",
    **content: Any,
) -> bytes:
    """An engine as this module reads it; further keys: ``layers``, ``execute``."""
    numbers = [int(number) for number in version.split(".")]
    head = magic + bytes(20) + bytes(numbers + [0] * (4 - len(numbers)))
    return head + json.dumps(dict(content, tensors=TENSORS if tensors is None else tensors)).encode()


class Value:
    """A value of an enumeration."""

    def __init__(self, name: str, value: int) -> None:
        self.name = name
        self._value = value

    def __int__(self) -> int:
        return self._value


class Values:
    """An enumeration; what a version has not is not there."""

    def __init__(self, *names: str) -> None:
        for index, name in enumerate(names):
            setattr(self, name, Value(name, index))


def version() -> Tuple[int, ...]:
    """Of the module that it plays."""
    return tuple(int(number) for number in str(CONFIG.get("version", "10.3.0")).split("."))


def die(by: int) -> None:
    """By a signal, which may take another thread first."""
    os.kill(os.getpid(), by)
    time.sleep(3600)


class ILogger(ABC):
    """Base class of loggers."""

    ERROR, WARNING = Value("ERROR", 1), Value("WARNING", 2)

    @abstractmethod
    def log(self, severity: Any, msg: str) -> None:
        """Take a message."""


def init_libnvinfer_plugins(logger: Any, namespace: str) -> bool:
    """As in TensorRT."""
    assert namespace == ""
    CALLS.append("init_libnvinfer_plugins")
    return True


class Runtime:
    """Reads engines."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        """None where it is told to refuse, after a message and those that follow from it."""
        assert "init_libnvinfer_plugins" in CALLS
        CALLS.append("deserialize")
        if CONFIG.get("deserialize") == "crash":
            die(signal.SIGSEGV)
        reason = CONFIG.get("refuses")
        if reason:
            self._logger.log(ILogger.ERROR, reason)
            self._logger.log(ILogger.ERROR, "what follows from it")
            return None
        return Engine(json.loads(bytes(serialized_engine[_HEADER:]).decode()))


class Engine:
    """An engine."""

    def __init__(self, content: Dict[str, Any]) -> None:
        self._content = content
        self.num_io_tensors = len(content["tensors"])

    def __del__(self) -> None:
        CALLS.append("del engine")

    def _tensor(self, name: str) -> Dict[str, Any]:
        return next(tensor for tensor in self._content["tensors"] if tensor["name"] == name)

    def get_tensor_name(self, index: int) -> str:
        """As in TensorRT, like all below."""
        return str(self._content["tensors"][index]["name"])

    def get_tensor_mode(self, name: str) -> Value:
        return Value(self._tensor(name)["mode"], 0)

    def get_tensor_shape(self, name: str) -> Tuple[int, ...]:
        return tuple(self._tensor(name)["shape"])

    def get_tensor_dtype(self, name: str) -> Value:
        return Value(self._tensor(name)["dtype"], 0)

    def create_execution_context(self) -> Any:
        return None if CONFIG.get("context") == "none" else Context(self._content)

    def create_engine_inspector(self) -> Any:
        return Inspector(self._content)


class Inspector:
    """Says what layers an engine has."""

    def __init__(self, content: Dict[str, Any]) -> None:
        self._content = content

    def get_engine_information(self, format: Any) -> str:  # noqa: A002
        """The layers that the engine's file names."""
        assert format.name == "JSON"
        return json.dumps({"Layers": self._content.get("layers", [])})


class Context:
    """Copies its first input to its first output, doubled where the engine says so."""

    def __init__(self, content: Dict[str, Any]) -> None:
        self._content = content
        self._addresses = {}  # type: Dict[str, int]

    def __del__(self) -> None:
        CALLS.append("del context")

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """As in TensorRT."""
        CALLS.append("set_tensor_address " + name)
        self._addresses[name] = memory
        return CONFIG.get("address") != "refused"

    def execute_async_v3(self, stream_handle: int) -> bool:
        """On the fake CUDA's stream where there is one, else at once."""
        CALLS.append("execute_async_v3")
        told = CONFIG.get("execute")
        if told == "crash":
            die(signal.SIGSEGV)
        if told == "hang":
            time.sleep(3600)
        if told == "false":
            return False
        if SUBMIT is not None:
            SUBMIT(int(stream_handle), self._compute)
        else:
            self._compute()
        return True

    def _compute(self) -> None:
        (source,) = [t for t in self._content["tensors"] if t["mode"] == "INPUT"]
        (target,) = [t for t in self._content["tensors"] if t["mode"] == "OUTPUT"]
        count = _nbytes(source)
        if self._content.get("double"):
            data = bytearray(ctypes.string_at(self._addresses[source["name"]], count))
            doubled = bytes((2 * value) % 256 for value in data)
            ctypes.memmove(self._addresses[target["name"]], doubled, count)
        else:
            ctypes.memmove(self._addresses[target["name"]], self._addresses[source["name"]], count)


def _nbytes(tensor: Dict[str, Any]) -> int:
    count = _WIDTHS[tensor["dtype"]]
    for size in tensor["shape"]:
        count *= size
    return count


class IProgressMonitor:
    """Base class of what is told how far a build is."""


class ParserError:
    """What the parser does not take; before 10.0 without the node's name."""

    def __init__(self, told: Dict[str, Any]) -> None:
        self._told = told
        if version() >= (10,):
            self.node_name = lambda: str(told["name"])
            self.node_operator = lambda: str(told["operator"])

    def node(self) -> int:
        """Its number."""
        return int(self._told["node"])

    def desc(self) -> str:
        """What is wrong."""
        return str(self._told["text"])


class OnnxParser:
    """Takes any ONNX but what it is told to refuse."""

    def __init__(self, network: Any, logger: Any) -> None:
        assert "init_libnvinfer_plugins" in CALLS
        self._errors = [ParserError(told) for told in CONFIG.get("parse_errors", [])]
        self.num_errors = len(self._errors)

    def parse(self, model: bytes) -> bool:
        """As in TensorRT."""
        CALLS.append(f"parse {len(model)}")
        return not self._errors

    def get_error(self, index: int) -> ParserError:
        """As in TensorRT."""
        return self._errors[index]


class Cache:
    """A timing cache: what it was begun from and one entry more."""

    def __init__(self, old: bytes) -> None:
        self.content = old

    def serialize(self) -> bytes:
        """Grown by what the build added."""
        return self.content + b"+"


class BuilderConfig:
    """Has what its version has."""

    def __init__(self) -> None:
        self._cache = None  # type: Optional[Cache]
        if version() >= (8, 4):
            self.set_memory_pool_limit = lambda pool, size: CALLS.append(f"set_memory_pool_limit {pool.name} {size}")

    def __setattr__(self, name: str, value: Any) -> None:
        missing = {"max_workspace_size": version() >= (10,), "builder_optimization_level": version() < (8, 6)}
        missing["progress_monitor"] = version() < (10,)
        assert not missing.get(name), f"TensorRT {version()} has no {name}"
        if not name.startswith("_") and name not in ("set_memory_pool_limit", "progress_monitor"):
            CALLS.append("{} = {}".format(name, getattr(value, "name", value)))
        object.__setattr__(self, name, value)

    def set_flag(self, flag: Value) -> None:
        """As in TensorRT, like all below."""
        CALLS.append("set_flag " + flag.name)

    def clear_flag(self, flag: Value) -> None:
        CALLS.append("clear_flag " + flag.name)

    def set_tactic_sources(self, sources: int) -> bool:
        CALLS.append(f"set_tactic_sources {sources:#b}")
        return True

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Cache:
        CALLS.append(f"create_timing_cache {serialized_timing_cache!r}")
        return Cache(serialized_timing_cache)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self._cache = cache
        return not (CONFIG.get("timings") == "foreign" and cache.content)

    def get_timing_cache(self) -> Any:
        return self._cache


class Tensor:
    """What a layer gives."""

    def __init__(self, dtype: Value) -> None:
        self.dtype = dtype


class Layer:
    """A layer of a network; from 8.6 on it knows the ONNX node that it was made of."""

    num_outputs = 1

    def __init__(self, node: str, dtype: Value) -> None:
        self.name = f"{node} renamed" if version() >= (8, 6) else node
        if version() >= (8, 6):
            self.metadata = f"[ONNX Layer: {node}]"
        self._tensor = Tensor(dtype)

    def get_output(self, index: int) -> Tensor:
        """As in TensorRT."""
        return self._tensor

    def set_output_type(self, index: int, dtype: Value) -> None:
        """As in TensorRT."""
        CALLS.append(f"set_output_type {self.name} {dtype.name}")


class Network:
    """A network of the layers that the configuration names: ``{name: type}``."""

    def __init__(self) -> None:
        types = globals()["DataType"]
        told = CONFIG.get("layers", {})
        self._layers = [Layer(name, getattr(types, dtype)) for name, dtype in told.items()]
        self.num_layers = len(self._layers)

    def get_layer(self, index: int) -> Layer:
        """As in TensorRT."""
        return self._layers[index]


class Builder:
    """Builds engines that name every call that led to them."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def create_network(self, flags: int) -> object:
        """As in TensorRT, like all below."""
        CALLS.append(f"create_network {flags}")
        return Network()

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def build_serialized_network(self, network: Any, config: BuilderConfig) -> Optional[bytes]:
        os.write(1, b"a library prints to standard output")
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            monitor.step_complete("Building engine", 0)
        told = CONFIG.get("build")
        if told == "hang":
            time.sleep(3600)
        if told == "crash":
            die(signal.SIGSEGV)
        if told == "killed":
            die(signal.SIGKILL)
        if told == "none":
            self._logger.log(ILogger.ERROR, "no implementation for node conv1")
            return None
        if monitor is not None:
            monitor.phase_finish("Building engine")
        built = str(CONFIG.get("build_version", CONFIG.get("version", "10.3.0")))
        return make_engine(built, calls=CALLS, **CONFIG.get("engine", {}))


def arrange() -> None:
    """Set what depends on the version."""
    module = globals()
    module["__version__"] = str(CONFIG.get("version", "10.3.0"))
    now = version()
    flags = ["EXPLICIT_BATCH"] if now < (11,) else []
    module["NetworkDefinitionCreationFlag"] = Values(*flags, *(["STRONGLY_TYPED"] if now >= (10,) else []))
    module["BuilderFlag"] = Values("TF32", *([] if now >= (11,) else ["FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS"]))
    module["DataType"] = Values("FLOAT", "HALF", "INT8", "INT32")
    sources = ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
    module["TacticSource"] = Values(*sources)
    module["MemoryPoolType"] = Values("WORKSPACE")
    module["ProfilingVerbosity"] = Values("LAYER_NAMES_ONLY", "NONE", "DETAILED")
    module["LayerInformationFormat"] = Values("ONELINE", "JSON")


arrange()
