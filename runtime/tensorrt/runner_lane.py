"""Lanes on an engine that another Python runs (`runtime/tensorrt/runner38.py`): pipes for words, memory for tensors.

The runner is not trusted to be well: what it says is limited and checked, it is waited for with a time limit, and its
end is an error that names its last words. The shared memory is anonymous, so that nothing is left whoever dies first.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from mmap import mmap
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from contracts.engine_recipe import EngineRecipe
from contracts.errors import ArtifactError, DeviceError, ModelFileError
from runtime.backends.base import Lane
from runtime.results import Array, Tensors
from runtime.tensorrt.engine import (
    TensorSpec,
    check_header,
    check_layers,
    read_engine_file,
    tensor_spec,
)
from runtime.tensorrt.lane import fill_inputs

RUNNER = Path(__file__).with_name("runner38.py")
OPEN_SECONDS = 300.0  # reading an engine starts CUDA and loads its kernels, which takes long on a small board
RUN_SECONDS = 30.0
_END_SECONDS = 10.0  # for freeing what it has, once its lanes are closed
_LONGEST_REPLY = 16 << 20  # bytes
_MOST_TENSORS = 64
_ALIGNED = 64  # bytes, a cache line
_MOST_MEMORY = 1 << 31  # bytes of all tensors of a lane

_log = logging.getLogger(__name__)


class _Tensor(BaseModel):
    name: str
    input: bool
    dtype: str
    shape: Annotated[tuple[Annotated[int, Field(ge=1, lt=1 << 31)], ...], Field(max_length=8)]


class _Hello(BaseModel):
    tensorrt: Annotated[str, Field(pattern=r"^\d+(\.\d+){1,3}", max_length=64)]
    tensors: Annotated[tuple[_Tensor, ...], Field(max_length=_MOST_TENSORS)]
    layers: str


def open_runner_lanes(python: Path, engine_file: Path, recipe: EngineRecipe | None, lanes: int) -> list[Lane]:
    """Start a runner on an engine and open lanes in it; they share the engine and the process.

    Args:
        python: an interpreter that has TensorRT's bindings, 3.6 or later.
        engine_file: the engine.
        recipe: what it was built from.
        lanes: how many.

    Raises:
        ModelFileError: the engine is not for this device.
        DeviceError: the runner does not start or dies, or CUDA fails.
    """
    content = read_engine_file(engine_file)
    runner = Runner(python, engine_file, lanes)
    made: list[Lane] = []
    try:
        for pipe in runner.pipes:
            hello = _hello(runner, pipe.receive(runner, OPEN_SECONDS), engine_file)
            check_header(content, "tensorrt", hello.tensorrt, engine_file.name)
            if recipe is not None:
                check_layers(hello.layers, recipe, engine_file.name)
            made.append(RunnerLane(runner, pipe, _specs(hello, engine_file.name)))
    except Exception:
        runner.kill()
        raise
    return made


class RunnerLane:
    """One lane of a runner. Its outputs are views of shared memory, valid until the next call.

    Args:
        runner: the process.
        pipe: to it, this lane's.
        specs: the engine's inputs and outputs.
    """

    def __init__(self, runner: Runner, pipe: Pipe, specs: tuple[TensorSpec, ...]) -> None:
        offsets, size = _layout(specs)
        self._runner = runner
        self._pipe = pipe
        os.ftruncate(pipe.memory, size)
        shared = np.frombuffer(mmap(pipe.memory, size), np.uint8)
        views = {spec.name: _view(shared, offsets[spec.name], spec) for spec in specs}
        self._inputs = {spec.name: views[spec.name] for spec in specs if spec.is_input}
        self._outputs: Tensors = {spec.name: views[spec.name] for spec in specs if not spec.is_input}
        self._ask({"op": "memory", "size": size, "offsets": offsets}, OPEN_SECONDS)

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once; see `runtime.backends.base.Lane`.

        Raises:
            DeviceError: the runner died or hangs; opening the artifact again starts another.
        """
        if self._pipe.closed:
            raise RuntimeError("a lane was used after it was closed")
        fill_inputs(self._inputs, tensors)
        self._ask({"op": "run"}, RUN_SECONDS)
        return self._outputs

    def close(self) -> None:
        """Let the runner free this lane; with its last one it ends. Twice is harmless."""
        self._inputs, self._outputs = {}, {}
        self._pipe.close()
        self._runner.end_if_unused()

    def _ask(self, request: Mapping[str, object], seconds: float) -> None:
        self._pipe.send(self._runner, request)
        _raise_error(self._pipe.receive(self._runner, seconds))


class Pipe:
    """The way to a runner, for one lane: requests out, replies in, and the memory that both map."""

    def __init__(self) -> None:
        self.theirs: tuple[int, int, int]
        request, self._write = os.pipe()
        self._read, reply = os.pipe()
        self.memory = os.memfd_create("edgetally-tensorrt", os.MFD_CLOEXEC)
        self.theirs = (request, reply, self.memory)
        self.closed = False

    def started(self) -> None:
        """Let go of the runner's ends, so that its death is seen."""
        os.close(self.theirs[0])
        os.close(self.theirs[1])

    def close(self) -> None:
        """Let go of ours; twice is harmless."""
        if not self.closed:
            self.closed = True
            for file in (self._write, self._read, self.memory):
                os.close(file)

    def send(self, runner: Runner, message: Mapping[str, object]) -> None:
        """Write a message.

        Raises:
            DeviceError: the runner is dead.
        """
        body = json.dumps(message).encode()
        try:
            os.write(self._write, struct.pack(">I", len(body)) + body)  # below PIPE_BUF, so written whole
        except OSError:
            raise runner.death() from None

    def receive(self, runner: Runner, seconds: float) -> Mapping[str, object]:
        """The next message.

        Raises:
            DeviceError: the runner died, did not answer in time, or says what is no message.
        """
        deadline = time.monotonic() + seconds
        (length,) = struct.unpack(">I", self._read_exactly(4, runner, deadline, seconds))
        if length > _LONGEST_REPLY:
            raise runner.nonsense(f"a message of {length} bytes")
        body = self._read_exactly(length, runner, deadline, seconds)
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            raise runner.nonsense(repr(body[:40])) from None
        if not isinstance(message, dict):
            raise runner.nonsense(repr(body[:40]))
        return message

    def _read_exactly(self, count: int, runner: Runner, deadline: float, seconds: float) -> bytes:
        parts = bytearray()
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        while len(parts) < count:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise runner.silence(seconds)
            part = os.read(self._read, count - len(parts))
            if not part:
                raise runner.death()
            parts += part
        return bytes(parts)


class Runner:
    """The process that runs an engine.

    Args:
        python: its interpreter.
        engine_file: the engine.
        lanes: how many.

    Raises:
        DeviceError: it does not start.
    """

    def __init__(self, python: Path, engine_file: Path, lanes: int) -> None:
        self._python = python
        self._last_words: deque[str] = deque(maxlen=20)
        self.pipes = [Pipe() for _ in range(lanes)]
        files = [pipe.theirs for pipe in self.pipes]
        command = [str(python), str(RUNNER), str(engine_file), *(",".join(map(str, three)) for three in files)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter that the operator named
                command,
                pass_fds=[file for three in files for file in three],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            self._close_pipes()
            raise DeviceError(f"{python} does not start: {error.strerror}; name another Python") from error
        finally:
            for pipe in self.pipes:
                pipe.started()
        self._listener = threading.Thread(target=self._listen, name="tensorrt-runner", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end_if_unused(self) -> None:
        """Wait for its end once no lane is left."""
        if all(pipe.closed for pipe in self.pipes):
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                _log.warning("TensorRT's runner %d does not end within %g s; killing it", self.pid, _END_SECONDS)
            self.kill()

    def kill(self) -> None:
        """End it now; twice is harmless."""
        self._close_pipes()
        self._process.kill()
        self._process.wait()
        self._listener.join(1.0)  # whoever inherited its standard error may keep it open

    def death(self) -> DeviceError:
        """The error for its having died."""
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return self.nonsense("the end of the pipe")
        self._listener.join(1.0)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        said = f" ({self._last_words[-1]})" if self._last_words else ""
        return DeviceError(f"TensorRT's runner {self._name} {how}{said}; open the artifact again to start another")

    def silence(self, seconds: float) -> DeviceError:
        """The error for its not answering; it is killed, for what it would say later fits no question."""
        self._process.kill()
        return DeviceError(
            f"TensorRT's runner {self._name} gave no answer within {seconds:g} s and was ended; open the artifact "
            "again to start another"
        )

    def nonsense(self, came: str) -> DeviceError:
        """The error for what is no message; it is killed."""
        self._process.kill()
        return DeviceError(
            f"TensorRT's runner {self._name} should send JSON objects, got {came}; see that {self._python} is the "
            "right Python"
        )

    @property
    def _name(self) -> str:
        return f"{self.pid} ({self._python.name})"

    def _listen(self) -> None:
        stream = self._process.stderr
        if stream is not None:
            with stream:
                for line in iter(lambda: stream.readline(4096), b""):
                    text = line.decode(errors="replace").strip()
                    if text:
                        self._last_words.append(text[:500])

    def _close_pipes(self) -> None:
        for pipe in self.pipes:
            pipe.close()


def _hello(runner: Runner, message: Mapping[str, object], engine_file: Path) -> _Hello:
    _raise_error(message, engine_file.name)
    try:
        return _Hello.model_validate(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise runner.nonsense(f"a first message with a wrong {'.'.join(map(str, first['loc']))}") from None


def _raise_error(message: Mapping[str, object], name: str = "") -> None:
    text = message.get("error")
    if text is None:
        return
    where = f"{name}: " if name else ""
    if message.get("kind") == "artifact":
        kind = ModelFileError if name else ArtifactError
        raise kind(f"{where}{str(text)[:1000]}; build the engine on this very device")
    raise DeviceError(f"{where}{str(text)[:1000]}; look at the GPU's memory and driver")


def _specs(hello: _Hello, name: str) -> tuple[TensorSpec, ...]:
    return tuple(
        tensor_spec(tensor.name, is_input=tensor.input, dtype=tensor.dtype, shape=tensor.shape, where=name)
        for tensor in hello.tensors
    )


def _layout(specs: tuple[TensorSpec, ...]) -> tuple[dict[str, int], int]:
    offsets: dict[str, int] = {}
    end = 0
    for spec in specs:
        offsets[spec.name] = end
        end += -(-spec.nbytes // _ALIGNED) * _ALIGNED
    if not 0 < end <= _MOST_MEMORY:
        raise ModelFileError(
            f"the engine's tensors take {end} bytes, expected 1 to {_MOST_MEMORY}; build a smaller one"
        )
    return offsets, end


def _view(shared: Array, offset: int, spec: TensorSpec) -> Array:
    return shared[offset : offset + spec.nbytes].view(spec.dtype).reshape(spec.shape)
