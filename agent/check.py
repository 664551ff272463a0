"""``edgetally-agent check``: would this configuration run? Every part is tried, and says what to do where it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.cameras.frame import Wanted
from agent.cameras.table import open_source
from agent.counting.counter import open_counter
from agent.engines.supply import EngineSupply
from agent.facts import device_facts
from agent.model import load_model
from agent.mqtt.check import check_broker
from agent.privacy.faces import open_faces
from agent.settings import engines_dir
from agent.store import Store
from contracts.config import MAIN, AgentConfig, CameraConfig, ModelConfig
from contracts.documents import without_credentials
from contracts.errors import CameraError, EdgetallyError
from runtime.bundle import Bundle, open_bundle


@dataclass(frozen=True)
class CheckResult:
    """One thing that was tried.

    Args:
        what: its name.
        passed: whether it works.
        text: what was found, or what is wrong and what to do.
    """

    what: str
    passed: bool
    text: str

    def document(self) -> dict[str, object]:
        """As plain data."""
        return {"what": self.what, "passed": self.passed, "text": self.text}


def check_config(config: AgentConfig, *, broker: bool = True) -> list[CheckResult]:
    """Try every part of a configuration; the agent itself must not be running on the same state directory.

    Args:
        config: what would run.
        broker: whether to connect to the broker too.
    """
    return list(_findings(config, broker=broker))


def _findings(config: AgentConfig, *, broker: bool) -> Iterator[CheckResult]:
    yield _try("state_dir", lambda: _check_store(config))
    for name, model in config.slots.items():
        yield from _model_findings(config, name, model)
    if config.privacy.faces is not None:
        faces = Path(config.privacy.faces)
        yield _try("privacy.faces", lambda: _check_faces(config, faces))
    if broker:
        yield _try(f"broker {config.broker.address}", lambda: _check_broker(config))


def _model_findings(config: AgentConfig, name: str, model: ModelConfig) -> Iterator[CheckResult]:
    """A model, and the cameras that it counts."""
    of_model = "" if name == MAIN else f" {name}"
    found: list[Bundle] = []
    yield _try(f"bundle{of_model}", lambda: _check_bundle(model, found))
    for bundle in found:
        yield _try(f"artifact{of_model}", lambda bundle=bundle: check_artifact(config, model, bundle))  # type: ignore[misc]
        for camera in (one for one in config.camera if one.model == name):
            yield _try(f"camera {camera.id}", lambda one=camera, bundle=bundle: check_camera(one, bundle))  # type: ignore[misc]


def _try(what: str, work: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(what, passed=True, text=work())
    except EdgetallyError as error:
        return CheckResult(what, passed=False, text=without_credentials(str(error)))


def _check_store(config: AgentConfig) -> str:
    Store.open(Path(config.state_dir), max_reports=config.outbox.max_reports).close()
    return f"{config.state_dir} can be written"


def _check_bundle(model: ModelConfig, found: list[Bundle]) -> str:
    bundle = open_bundle(Path(model.bundle))
    bundle.check()
    found.append(bundle)
    spec = bundle.manifest.model
    return f"{spec.name} {spec.version}, every byte as built"


def check_artifact(config: AgentConfig, of: ModelConfig, bundle: Bundle) -> str:
    """Have an artifact of a bundle chosen, opened and proven on its golden samples; says which it is.

    Args:
        config: of the box.
        of: the model that the bundle is of.
        bundle: an open one.

    Raises:
        EdgetallyError: none fits and works here.
    """
    facts = device_facts()
    selection = load_model(bundle, facts, of.runtime or config.runtime, EngineSupply(engines_dir(config), facts))
    waiting = [one.needed.artifact.id for one in selection.awaited]
    later = f"; the agent first builds the engine of {', '.join(waiting)}" if waiting else ""
    model = selection.model
    if model is None:
        return f"nothing counts yet{later}"
    model.close()
    return f"{model.artifact.id} in {model.execution_precision} passes its golden samples{later}"


def check_camera(camera: CameraConfig, bundle: Bundle) -> str:
    """Have one frame of a camera; says that it came.

    Args:
        camera: which.
        bundle: of the model that counts it, open.

    Raises:
        EdgetallyError: it does not open, gives none, or asks for what the model cannot give.
    """
    open_counter(camera, bundle.manifest.model)
    source = open_source(camera, Wanted(bundle.manifest.model.input), threading.Event())
    try:
        frame = source.read()
    finally:
        source.close()
    if frame is None:
        raise CameraError(camera.id, "expected a frame, got the end of the source", "check the source")
    return "gives frames"


def _check_faces(config: AgentConfig, bundle: Path) -> str:
    facts = device_facts()
    faces = open_faces(bundle, facts, EngineSupply(engines_dir(config), facts))
    try:
        faces.find(np.zeros((64, 64, 3), np.uint8), 1.0)
    finally:
        faces.close()
    return "finds faces"


def _check_broker(config: AgentConfig) -> str:
    check_broker(config.broker)
    return "accepts this client"
