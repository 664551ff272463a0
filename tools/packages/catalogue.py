"""Which packages there are: one row each; how they are built and what their scripts do follows from the row."""

from __future__ import annotations

from dataclasses import dataclass, field

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name to the machine's, as wheels have it."""


CONFIG = "/etc/edgetally"
"""Configuration and keys of whatever of edgetally is on a machine."""
BIN = "/opt/edgetally/bin"
"""Where units find the commands."""


@dataclass(frozen=True)
class Service:
    """What a package with a service of its own makes on a box, and takes away when it is purged.

    Args:
        user: the system user and group that it runs as; its state is in ``/var/lib/USER``, its cache in
            ``/var/cache/USER``.
        groups: groups of devices that its unit names.
        command: what stands in ``/usr/bin``.
        units: file names below ``systemd/``; the first is the service itself.
        called: units that others start.
        config_files: which of ``CONFIG`` are its own, as ``find`` selects them.
        drop_ins: whether the first unit has drop-ins to choose from.
    """

    user: str
    groups: tuple[str, ...]
    command: str
    units: tuple[str, ...]
    config_files: str
    called: tuple[str, ...] = ()
    drop_ins: bool = False


@dataclass(frozen=True)
class Package:
    """One package.

    Args:
        name: Debian's name.
        home: the folder below which its environment is made; packages that belong together share it.
        main: the component that the environment is about.
        component: what this package adds to it.
        lock: file name below ``requirements/box``; of its lines those that ``main``'s lock has are left out.
        summary: one line.
        description: some more, a sentence or three.
        modules: what must be importable once it is installed.
        service: where it brings one.
        jetpack: whether it needs modules of JetPack's own Python.
    """

    name: str
    home: str
    main: str
    component: str
    lock: str
    summary: str
    description: str
    modules: tuple[str, ...]
    service: Service | None = None
    jetpack: bool = field(default=False)


AGENT = Package(
    name="edgetally-agent",
    home="/opt/edgetally",
    main="agent",
    component="agent",
    lock="agent.txt",
    summary="counts vehicles and people from cameras, and publishes counts over MQTT",
    description="The agent of one box. It carries its Python packages for every Python that it supports and makes its "
    "own environment from them, without a network. A package edgetally-runtime-NAME brings what runs the models.",
    modules=("agent.run", "agent.count", "aiohttp", "tuf.api.metadata"),
    service=Service(
        user="edgetally",
        groups=("video", "render"),
        command="edgetally-agent",
        units=("edgetally-agent.service", "edgetally-renew.timer"),
        # What an operator may keep beside it is not the agent's to purge: keys above all, which nobody makes again.
        config_files='! -name "fleet*" ! -name console.env ! -name enrolment.toml ! -name keys ! -name ca',
        called=("edgetally-renew.service",),
        drop_ins=True,
    ),
)
FLEET = Package(
    name="edgetally-fleet",
    home="/opt/edgetally-fleet",
    main="fleet",
    component="fleet",
    lock="fleet.txt",
    summary="inventory, configuration and model rollouts of a fleet of edgetally boxes",
    description="The operator's side: commands, controller and console. It carries its Python packages for every "
    "Python that it supports and makes its own environment from them, without a network.",
    modules=("fleet.cli", "fleet.console", "s3fs", "psycopg"),
    service=Service(
        user="edgetally-fleet",
        groups=(),
        command="edgetally-fleet",
        units=("edgetally-fleet.service", "edgetally-console.service"),
        config_files="-name fleet.env -o -name console.env -o -name enrolment.toml",
    ),
)


def _runtime(name: str, title: str, description: str, modules: tuple[str, ...], *, jetpack: bool = False) -> Package:
    return Package(
        name=f"edgetally-runtime-{name}",
        home=AGENT.home,
        main=AGENT.main,
        component=name,
        lock=f"{name}.txt",
        summary=f"{title} for edgetally-agent",
        description=description,
        modules=modules,
        jetpack=jetpack,
    )


RUNTIMES = (
    _runtime("onnxruntime", "ONNX Runtime", "Runs ONNX artifacts on the processor of any box.", ("onnxruntime",)),
    _runtime("openvino", "OpenVINO", "Runs OpenVINO artifacts on Intel's and other processors.", ("openvino",)),
    _runtime("tflite", "LiteRT", "Runs TFLite artifacts, on Arm boards above all.", ("ai_edge_litert.interpreter",)),
    _runtime(
        "tensorrt",
        "TensorRT's Python side",
        "Brings CUDA's bindings and NVIDIA's telemetry. TensorRT itself is the system's: on Jetson, JetPack's, which "
        "the agent's environment then sees (that is the only case in which it sees the system's Python packages).",
        (),
        jetpack=True,
    ),
)
CATALOGUE = {package.name: package for package in (AGENT, *RUNTIMES, FLEET)}
