"""Checks of what is counted with: the configuration, the models, the cameras, the broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from agent.cameras.table import kind_of
from agent.doctor.beside import tried
from agent.doctor.child import CameraJob, ModelJob
from agent.doctor.finding import Finding, failed, of_trial
from agent.doctor.ground import Ground
from agent.mqtt.check import exchange
from agent.page.client import PageAddress, read_state
from agent.page.ports import AgentState
from agent.rpc.selftest import CameraSeen, camera_trials
from agent.service.last_good import left_for_the_last_good
from agent.update.command import Desk
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.updates import FOLDER
from contracts.config import AgentConfig, CameraConfig
from contracts.errors import EdgetallyError
from contracts.facts import Facts, refusals
from runtime.bundle import Bundle, open_bundle

_CAMERA_SECONDS = 45.0  # opening takes twice 10 s at the most, and the child has to start
_MODEL_SECONDS = 300.0  # compiling for a GPU takes minutes
_AT_ONCE = 4  # cameras
_LOG = "journalctl -u edgetally-agent -n 50"


def config(ground: Ground) -> Iterator[Finding]:
    """Whether agent.toml, and what lies over it, can be read and fits; and whether it is what runs."""
    check = f"edgetally-agent check --offline --config {ground.path}"
    if ground.problem is not None:
        yield failed("config", ground.problem, f"sudoedit {ground.path} && {check}")
    if (count := left_for_the_last_good(ground.path)) is not None:
        text = f"{ground.path} did not come up {count} times, so the last good one runs"
        yield Finding("config", "wrong", text, f"{check}; then: sudo systemctl restart edgetally-agent")
    if ground.explained is None:
        return
    document = ground.explained.candidate.desired
    afar = f", with revision {document.config_revision} from afar over it" if document is not None else ""
    yield Finding("config", "ok", f"{ground.path} fits{afar}")
    for note in ground.explained.notes:
        yield Finding("config", "warning", note, "edgetally-agent config --explain")


def models(ground: Ground) -> Iterator[Finding]:
    """Whether every bundle is as it was built, fits this box, and passes its golden samples."""
    if ground.config is None:
        return
    for slot, folder in bundle_folders(ground.config).items():
        what = f"model {slot}"
        try:
            bundle = open_bundle(folder)
            bundle.check()
        except EdgetallyError as error:
            yield failed(what, error, "edgetally-agent update /media/STICK/BUNDLE")
            continue
        yield _of_bundle(what, bundle, ground.config, slot)
        fitting = _fitting(bundle, ground.facts)
        if not fitting:
            yield Finding(what, "wrong", _why_none_fits(bundle, ground.facts), "edgetally-agent facts")
            continue
        job = ModelJob(config=ground.path, slot=slot, bundle=folder)
        yield tried(what, job, _MODEL_SECONDS, "edgetally-agent doctor --only runtimes")


def cameras(ground: Ground) -> Iterator[Finding]:
    """Whether every camera gives a frame: of a running agent what it counts, else one is taken."""
    if ground.config is None:
        return
    told = _told_by_the_agent(ground)
    if told is not None:
        yield from (of_trial(trial, "edgetally-agent top --once") for trial in camera_trials(told))
        return
    folders = bundle_folders(ground.config)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda camera: _camera(ground, camera, folders[camera.model]), ground.config.camera)


def broker(ground: Ground) -> Iterator[Finding]:
    """Whether the broker lets this box in, and takes what it publishes on its own topics."""
    config = ground.config
    if config is None:
        return
    what = f"broker {config.broker.address}"
    if ground.offline:
        yield Finding(what, "unknown", "left out, as --offline says")
        return
    if ground.running:  # a broker that goes by user names would end the agent's connection for one of ours
        yield _broker_of_the_agent(what, ground)
        return
    try:
        done = exchange(config.broker, config.device)
    except EdgetallyError as error:
        yield failed(what, error, _reach(config))
        return
    back = "came back" if done.heard else "was confirmed; it lets this box read only what is meant for it"
    yield Finding(what, "ok", f"speaks MQTT {done.version}, takes this client, and a message {back}")


def _broker_of_the_agent(what: str, ground: Ground) -> Finding:
    state = _state_of_the_agent(ground)
    link = None if state is None else state.health.broker
    if link is not None:
        text = f"the agent that runs is {'connected' if link.connected else 'not connected'}"
        why = f": {link.problem}" if link.problem else ""
        return Finding(what, "ok" if link.connected and not link.problem else "wrong", f"{text}{why}", _LOG)
    told = ground.run(["systemctl", "show", "edgetally-agent", "--property=StatusText"]) or ""
    if "broker connected" in told:
        return Finding(what, "ok", "the agent that runs is connected")
    if "broker away" in told:
        return Finding(what, "wrong", "the agent that runs is not connected; its log says why", _LOG)
    return Finding(what, "unknown", f"the agent that runs has the connection; see {_LOG}")


def bundle_folders(config: AgentConfig) -> Mapping[str, Path]:
    """The folder of the bundle that each slot runs: that of an update, else the one that agent.toml names."""
    running = Desk(config).running().models
    shelf = Shelf(ShelfDisk(Path(config.state_dir) / FOLDER))
    return {
        slot: shelf.bundle(running[slot].manifest) if slot in running else Path(model.bundle)
        for slot, model in config.slots.items()
    }


def _of_bundle(what: str, bundle: Bundle, config: AgentConfig, slot: str) -> Finding:
    spec = bundle.manifest.model
    taken = slot in Desk(config).running().models
    source = "of a release that was verified when it was taken" if taken else "which agent.toml names, nobody signed"
    return Finding(what, "ok", f"{spec.name} {spec.version}, {source}; every byte is as its manifest says")


def _fitting(bundle: Bundle, facts: Facts) -> list[str]:
    return [one.id for one in bundle.manifest.artifacts if not refusals(one.requires, facts)]


def _why_none_fits(bundle: Bundle, facts: Facts) -> str:
    reasons = "; ".join(f"{one.id}: {', '.join(refusals(one.requires, facts))}" for one in bundle.manifest.artifacts)
    return f"none of its artifacts fits this box ({reasons or 'it holds none'}); build one for a target that does"


def _state_of_the_agent(ground: Ground) -> AgentState | None:
    """What a running agent's page says; None where there is none that could be asked."""
    page = None if ground.config is None else ground.config.page
    if not ground.running or page is None:
        return None
    try:
        return read_state(PageAddress.of(page))
    except EdgetallyError:
        return None


def _told_by_the_agent(ground: Ground) -> dict[str, CameraSeen] | None:
    state = _state_of_the_agent(ground)
    if state is None:
        return None
    health = state.health.cameras
    return {name: CameraSeen(one.quality, None, health[name].problem) for name, one in state.cameras.items()}


def _camera(ground: Ground, camera: CameraConfig, bundle: Path) -> Finding:
    what = f"camera {camera.id}"
    kind = kind_of(camera.source)
    if ground.running and kind.live and "://" not in camera.source:
        text = "the agent that runs has the device; set [page] in agent.toml and it can be asked"
        return Finding(what, "unknown", text, "journalctl -u edgetally-agent | grep camera")
    do = "sudo usermod -aG video edgetally" if camera.source.startswith("/dev/") else _see(camera)
    return tried(what, CameraJob(config=ground.path, camera=camera.id, bundle=bundle), _CAMERA_SECONDS, do)


def _see(camera: CameraConfig) -> str | None:
    host = urlsplit(camera.source).hostname if "://" in camera.source else None
    return f"ping -c 3 {host}" if host else None


def _reach(config: AgentConfig) -> str:
    return f"nc -vz {config.broker.host} {config.broker.port}; edgetally-agent config | grep -A9 broker"
