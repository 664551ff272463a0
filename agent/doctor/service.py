"""Check of the service: whether systemd has the unit, starts it at boot, and lets it at what this box has."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.doctor.finding import Finding
from agent.doctor.ground import Ground

UNIT = "edgetally-agent.service"
UNIT_VERSION = 1
"""Of the unit that this agent is made for; it stands in the unit's section [X-Edgetally]."""

SHARE = "opt/edgetally/systemd"
"""Where the package and install.sh put `systemd/` of the repository."""

_PROPERTIES = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "StatusText",
)
_LOG = "journalctl -u edgetally-agent -n 50"
_MANY_RESTARTS = 3


def service(ground: Ground) -> Iterator[Finding]:
    """See above."""
    if not (ground.root / "run/systemd/system").is_dir():
        yield Finding("service", "unknown", "systemd does not run here: another one has to start the agent")
        return
    told = ground.run(["systemctl", "show", UNIT, f"--property={','.join(_PROPERTIES)}"])
    if told is None:
        yield Finding("service", "unknown", "systemctl does not answer")
        return
    shown = dict(line.partition("=")[::2] for line in told.splitlines())
    if shown.get("LoadState") == "masked":
        yield Finding("service", "wrong", f"{UNIT} is masked, so nothing can start it", f"sudo systemctl unmask {UNIT}")
    elif shown.get("LoadState") != "loaded":
        text = f"systemd has no {UNIT} ({shown.get('LoadState', 'it says nothing')})"
        yield Finding("service", "warning", text, "sudo apt install --reinstall edgetally-agent")
    else:
        yield from _loaded(shown)
        yield from _unit_file(ground, shown)
        yield from _drop_ins(ground, shown)


def _loaded(shown: Mapping[str, str]) -> Iterator[Finding]:
    active, sub = shown.get("ActiveState", ""), shown.get("SubState", "")
    if active == "active":
        status = f": {shown['StatusText']}" if shown.get("StatusText") else ""
        yield Finding("service", "ok", f"{UNIT} is {sub}{status}")
    elif active in {"activating", "reloading", "deactivating"} and sub != "auto-restart":
        yield Finding("service", "warning", f"{UNIT} is {active} ({sub})", _LOG)
    elif active == "inactive":
        yield Finding("service", "wrong", f"{UNIT} does not run", f"sudo systemctl start {UNIT}; {_LOG}")
    else:
        yield Finding("service", "wrong", f"{UNIT} fails ({shown.get('Result')}), {sub}", _LOG)
    if shown.get("UnitFileState") in {"disabled", "static", ""}:
        yield Finding("service", "warning", f"{UNIT} is not started at boot", f"sudo systemctl enable {UNIT}")
    restarts = shown.get("NRestarts", "0")
    if restarts.isdecimal() and int(restarts) >= _MANY_RESTARTS:
        yield Finding("service", "warning", f"it was started anew {restarts} times since it was started by hand", _LOG)


def _unit_file(ground: Ground, shown: Mapping[str, str]) -> Iterator[Finding]:
    if shown.get("NeedDaemonReload") == "yes":
        yield Finding("service", "warning", "its files were changed and not read", "sudo systemctl daemon-reload")
    path = shown.get("FragmentPath", "")
    try:
        version = int(_section(ground.root / path.lstrip("/")).get("Unit", "0"))
    except (OSError, ValueError):
        version = 0
    if version < UNIT_VERSION:
        text = f"{path} is of version {version}, this agent is made for {UNIT_VERSION}"
        do = "sudo apt install --reinstall edgetally-agent && sudo systemctl daemon-reload"
        yield Finding("service", "warning", f"{text}; it does not have the limits and the watchdog meant for it", do)


def _drop_ins(ground: Ground, shown: Mapping[str, str]) -> Iterator[Finding]:
    """Those that `choose-drop-ins` finds for this box, and are not there."""
    choose = ground.root / SHARE / "choose-drop-ins"
    if not choose.is_file():
        return
    told = ground.run([str(choose), str(choose.with_name("drop-ins")), sysconfig.get_path("purelib")])
    there = {Path(path).name for path in shown.get("DropInPaths", "").split()}
    for name in (told or "").split():
        if name not in there:
            source = f"/{SHARE}/drop-ins/{name}"
            do = f"sudo install -Dm644 -t /etc/systemd/system/{UNIT}.d {source} && sudo systemctl daemon-reload"
            yield Finding("service", "warning", f"this box wants the drop-in {name}, and the unit has it not", do)


def _section(path: Path) -> dict[str, str]:
    """The section [X-Edgetally] of a unit."""
    _, found, rest = path.read_text(encoding="utf-8").partition("[X-Edgetally]\n")
    lines = rest.split("\n[")[0].splitlines() if found else []
    return dict(line.partition("=")[::2] for line in lines if "=" in line and not line.startswith("#"))
