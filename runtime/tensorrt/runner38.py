"""Runs a TensorRT engine for a process that cannot: one file for any Python from 3.6 on that has NVIDIA's bindings.

It needs the standard library, ``tensorrt`` (8.5 or later: the tensor API) and libcudart, and imports nothing of
edgetally, whose own Python is too new for JetPack 5's bindings. Started as

    python3.8 runner38.py ENGINE READ,WRITE,MEMORY [READ,WRITE,MEMORY ...]

with file descriptors that it inherits, three a lane: requests come from READ, replies go to WRITE, tensors lie in
MEMORY (an anonymous file, mapped by both sides, gone with the last of them). A message is its length (4 bytes, big
endian) and a JSON object. It says first what the engine has:

    {"tensorrt": "8.5.2.2", "tensors": [{"name", "input", "dtype", "shape"}], "layers": "<inspector's report>"}

and then answers, a lane at a time in a thread of its own:

    {"op": "memory", "size": N, "offsets": {name: offset}}   map the memory, make a context and buffers
    {"op": "run"}                                            copy in, execute, copy out
    {"op": "close"}                                          free all of the lane

with {"ok": true} or {"error": "...", "kind": "artifact" | "device"}. The end of READ closes the lane; without lanes it
ends, so it never outlives the process that started it.
"""
# ruff: noqa: UP006, UP035, UP045 - Python 3.6 reads this
# ruff: noqa: ANN401 - TensorRT's objects have no types here

import ctypes
import importlib
import json
import mmap
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

LONGEST_REQUEST = 1 << 20  # bytes
_LONGEST_REPORT = 12 << 20  # characters of the inspector's report
_HERE = Path(__file__).resolve().parent
_H2D, _D2H = 1, 2  # cudaMemcpyKind
_NON_BLOCKING = 1  # cudaStreamNonBlocking
_SIZES = {"FLOAT": 4, "HALF": 2, "INT8": 1, "UINT8": 1, "INT32": 4, "INT64": 8, "BOOL": 1}


class ArtifactError(Exception):
    """The engine cannot be used here."""


class DeviceError(Exception):
    """CUDA or this box refuses."""


class Cudart:
    """The calls of libcudart that are needed, checked."""

    _ARGUMENTS = {  # noqa: RUF012 - typing.ClassVar adds nothing here
        "cudaMalloc": [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t],
        "cudaFree": [ctypes.c_void_p],
        "cudaHostAlloc": [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_uint],
        "cudaFreeHost": [ctypes.c_void_p],
        "cudaStreamCreateWithFlags": [ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint],
        "cudaStreamDestroy": [ctypes.c_void_p],
        "cudaStreamSynchronize": [ctypes.c_void_p],
        "cudaMemcpyAsync": [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p],
    }

    def __init__(self) -> None:
        self._library = _libcudart()
        self._library.cudaGetErrorName.restype = ctypes.c_char_p
        for name, arguments in self._ARGUMENTS.items():
            getattr(self._library, name).argtypes = arguments

    def call(self, name: str, *arguments: Any) -> None:
        """Call and check."""
        error = getattr(self._library, name)(*arguments)
        if error != 0:
            text = (self._library.cudaGetErrorName(error) or b"error %d" % error).decode("ascii", "replace")
            raise DeviceError(f"CUDA's {name} failed with {text}")

    def new(self, name: str, *arguments: Any) -> int:
        """Call what gives a pointer through its first argument."""
        pointer = ctypes.c_void_p()
        self.call(name, ctypes.byref(pointer), *arguments)
        return pointer.value or 0


class Lane:
    """A context with its own stream and buffers; its tensors lie in memory shared with the other process."""

    def __init__(self, engine: Any, cudart: Cudart, tensors: List[Dict[str, Any]], memory: int, size: int) -> None:
        self._cudart = cudart
        self._free = []  # type: List[Tuple[str, int]]
        self._shared = mmap.mmap(memory, size)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._shared))
        self._copies = []  # type: List[Tuple[bool, int, int, int, int]]
        self._context = engine.create_execution_context()
        if self._context is None:
            raise DeviceError("TensorRT makes no execution context: the GPU's memory is full")
        self._stream = cudart.new("cudaStreamCreateWithFlags", _NON_BLOCKING)
        self._free.append(("cudaStreamDestroy", self._stream))
        for tensor in tensors:
            self._add(tensor, size)

    def _add(self, tensor: Dict[str, Any], size: int) -> None:
        count = _nbytes(tensor)
        offset = tensor["offset"]
        if not isinstance(offset, int) or offset < 0 or offset + count > size:
            raise ArtifactError(f"tensor {tensor['name']!r} does not fit into the shared memory")
        host = self._cudart.new("cudaHostAlloc", count, 0)
        self._free.append(("cudaFreeHost", host))
        device = self._cudart.new("cudaMalloc", count)
        self._free.append(("cudaFree", device))
        if not self._context.set_tensor_address(tensor["name"], device):
            raise ArtifactError(f"TensorRT refuses the memory of tensor {tensor['name']!r}")
        self._copies.append((tensor["input"], self._base + offset, host, device, count))

    def run(self) -> None:
        """Copy in, execute, copy out; through page-locked memory, for not every Jetson can lock what is shared."""
        for is_input, shared, host, device, count in self._copies:
            if is_input:
                ctypes.memmove(host, shared, count)
                self._cudart.call("cudaMemcpyAsync", device, host, count, _H2D, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise DeviceError("TensorRT does not begin to run the engine")
        for is_input, _, host, device, count in self._copies:
            if not is_input:
                self._cudart.call("cudaMemcpyAsync", host, device, count, _D2H, self._stream)
        self._cudart.call("cudaStreamSynchronize", self._stream)
        for is_input, shared, host, _, count in self._copies:
            if not is_input:
                ctypes.memmove(shared, host, count)

    def close(self) -> None:
        """The context first, then its memory, then the stream."""
        self._context = None
        while self._free:
            name, pointer = self._free.pop()
            self._cudart.call(name, pointer)


class Served:
    """The lane of one client: its pipe and, once asked for, its buffers."""

    def __init__(self, engine: Any, cudart: Cudart, tensors: List[Dict[str, Any]], files: Tuple[int, int, int]) -> None:
        self._engine = engine
        self._cudart = cudart
        self._tensors = tensors
        self._read, self._write, self._memory = files
        self._lane = None  # type: Optional[Lane]

    def serve(self) -> None:
        """Answer until the other side closes or goes."""
        try:
            while True:
                request = receive(self._read)
                if request is None:
                    return
                send(self._write, self._answer(request))
                if request.get("op") == "close":
                    return
        except OSError:
            return  # the other side is gone
        finally:
            self._close()

    def _answer(self, request: Dict[str, Any]) -> Dict[str, Any]:
        try:
            self._do(request)
        except ArtifactError as error:
            return {"error": str(error), "kind": "artifact"}
        except Exception as error:  # noqa: BLE001 - whatever happens here, the other side is told
            return {"error": f"{type(error).__name__}: {error}", "kind": "device"}
        return {"ok": True}

    def _do(self, request: Dict[str, Any]) -> None:
        op = request.get("op")
        if op == "run" and self._lane is not None:
            self._lane.run()
        elif op == "memory" and self._lane is None:
            offsets = request.get("offsets")
            if not isinstance(offsets, dict) or not isinstance(request.get("size"), int):
                raise ArtifactError("expected 'size' and 'offsets'")
            tensors = [dict(tensor, offset=offsets.get(tensor["name"])) for tensor in self._tensors]
            self._lane = Lane(self._engine, self._cudart, tensors, self._memory, request["size"])
        elif op == "close":
            self._close()
        else:
            raise ArtifactError(f"did not expect {op!r} now")

    def _close(self) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()


def receive(file: int) -> Optional[Dict[str, Any]]:
    """The next message; None at the end, or where what came is no message."""
    head = _read_exactly(file, 4)
    if head is None:
        return None
    (length,) = struct.unpack(">I", head)
    body = _read_exactly(file, length) if length <= LONGEST_REQUEST else None
    try:
        message = json.loads(body.decode("utf-8")) if body is not None else None
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def send(file: int, message: Dict[str, Any]) -> None:
    """Write a message whole."""
    body = json.dumps(message).encode("utf-8")
    data = struct.pack(">I", len(body)) + body
    while data:
        data = data[os.write(file, data) :]


def _read_exactly(file: int, count: int) -> Optional[bytes]:
    parts = []
    while count:
        part = os.read(file, min(count, 1 << 16))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _libcudart() -> Any:
    found = os.environ.get("EDGETALLY_LIBCUDART")
    names = [found] if found else ["libcudart.so.11.0", "libcudart.so.12", "libcudart.so.13", "libcudart.so.10.2"]
    names += [] if found else ["libcudart.so", "/usr/local/cuda/lib64/libcudart.so"]
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError as error:  # noqa: PERF203 - as many as there are names
            why = str(error)
    raise DeviceError(f"libcudart is not found ({why}); install CUDA's runtime")


def _nbytes(tensor: Dict[str, Any]) -> int:
    count = _SIZES.get(tensor["dtype"], 0)
    for size in tensor["shape"]:
        count *= size
    if count < 1:
        raise ArtifactError(
            f"tensor {tensor['name']!r} is {tensor['dtype']} {tensor['shape']}, which cannot be run here"
        )
    return int(count)


def open_engine(path: str) -> Tuple[Any, Dict[str, Any]]:
    """The engine (with what has to outlive it) and what is said of it first."""
    trt = importlib.import_module("tensorrt")  # type: Any

    class Logger(trt.ILogger):  # type: ignore[misc]
        """Keeps the first errors."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors = []  # type: List[str]

        def log(self, severity: Any, msg: str) -> None:
            """Take a message."""
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(msg)
                sys.stderr.write(msg + "\n")

    logger = Logger()
    runtime = trt.Runtime(logger)
    trt.init_libnvinfer_plugins(logger, "")  # its parser makes plugins of some ONNX operators
    engine = runtime.deserialize_cuda_engine(Path(path).read_bytes())
    if engine is None:
        reason = logger.errors[0] if logger.errors else "it gave no reason"
        raise ArtifactError(f"TensorRT {trt.__version__} does not read the engine: {reason}")
    tensors = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        tensors.append(
            {
                "name": name,
                "input": engine.get_tensor_mode(name).name == "INPUT",
                "dtype": engine.get_tensor_dtype(name).name,
                "shape": [int(size) for size in engine.get_tensor_shape(name)],
            }
        )
    report = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    hello = {"tensorrt": trt.__version__, "tensors": tensors, "layers": report[:_LONGEST_REPORT]}
    return (engine, runtime, logger), hello


def main(arguments: List[str]) -> int:
    """Open the engine, then serve every lane in its own thread until all are gone."""
    files = [tuple(int(number) for number in argument.split(",")) for argument in arguments[1:]]
    try:
        opened, hello = open_engine(arguments[0])
        cudart = Cudart()
    except Exception as error:  # noqa: BLE001 - whatever happens here, the other side is told
        kind = "artifact" if isinstance(error, ArtifactError) else "device"
        text = str(error) if isinstance(error, (ArtifactError, DeviceError)) else f"{type(error).__name__}: {error}"
        for _, write, _ in files:
            send(write, {"error": text, "kind": kind})
        return 1
    threads = []
    for lane in files:
        send(lane[1], hello)
        served = Served(opened[0], cudart, hello["tensors"], lane)  # type: ignore[arg-type]
        threads.append(threading.Thread(target=served.serve))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    # This file's own folder is not a place to import from: its neighbours are edgetally's.
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != _HERE]
    os.dup2(2, 1)  # nothing that a library prints may get between the messages
    sys.exit(main(sys.argv[1:]))
