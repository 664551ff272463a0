"""What systemd says of the unit becomes a finding, with the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.doctor.finding import Level
from agent.doctor.ground import Ground
from agent.doctor.service import SHARE, UNIT_VERSION, _section, service

WELL = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "NRestarts": "0",
    "FragmentPath": "/lib/systemd/system/edgetally-agent.service",
    "DropInPaths": "",
    "NeedDaemonReload": "no",
    "StatusText": "counting 2 of 2 cameras, 60 frames/s; broker connected",
}
UNIT = Path(__file__).parents[4] / "systemd/edgetally-agent.service"


def ground(root: Path, wanted: str = "", **changes: str) -> Ground:
    (root / "run/systemd/system").mkdir(parents=True)
    unit = root / "lib/systemd/system/edgetally-agent.service"
    unit.parent.mkdir(parents=True)
    unit.write_text(UNIT.read_text())
    shown = "".join(f"{name}={value}\n" for name, value in {**WELL, **changes}.items())

    def run(command: Sequence[str]) -> str | None:
        return shown if command[0] == "systemctl" else wanted

    return Ground(Path("/etc/edgetally/agent.toml"), {}, root=root, run=run)


def test_a_service_that_runs_says_how_it_does(tmp_path: Path) -> None:
    (found,) = service(ground(tmp_path))
    assert (found.level, found.text) == ("ok", f"edgetally-agent.service is running: {WELL['StatusText']}")


@pytest.mark.parametrize(
    ("changes", "level", "text", "do"),
    [
        ({"LoadState": "masked"}, "wrong", "is masked", "systemctl unmask edgetally-agent.service"),
        ({"LoadState": "not-found"}, "warning", "has no edgetally-agent.service", "apt install --reinstall"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "wrong", "does not run", "systemctl start"),
        ({"ActiveState": "failed", "Result": "exit-code"}, "wrong", "fails (exit-code)", "journalctl"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "wrong", "fails", "journalctl"),
        ({"ActiveState": "activating", "SubState": "start"}, "warning", "is activating (start)", "journalctl"),
        ({"UnitFileState": "disabled"}, "warning", "not started at boot", "systemctl enable"),
        ({"NRestarts": "7"}, "warning", "started anew 7 times", "journalctl"),
        ({"NeedDaemonReload": "yes"}, "warning", "changed and not read", "daemon-reload"),
        ({"FragmentPath": "/etc/systemd/system/mine.service"}, "warning", "of version 0", "apt install --reinstall"),
    ],
)
def test_what_is_wrong_comes_with_the_command_that_mends_it(
    changes: dict[str, str], level: Level, text: str, do: str, tmp_path: Path
) -> None:
    found = [one for one in service(ground(tmp_path, **changes)) if one.level != "ok"]
    assert [one.level for one in found] == [level]
    assert text in found[0].text
    assert do in (found[0].do or "")


def test_a_drop_in_that_the_box_wants_and_the_unit_has_not_is_named(tmp_path: Path) -> None:
    here = ground(
        tmp_path,
        "jit.conf\ncamera-v4l2.conf\n",
        DropInPaths="/etc/systemd/system/edgetally-agent.service.d/jit.conf",
    )
    choose = tmp_path / SHARE / "choose-drop-ins"
    choose.parent.mkdir(parents=True)
    choose.touch()
    found = [one for one in service(here) if one.level == "warning"]
    assert ["camera-v4l2.conf" in one.text for one in found] == [True]
    assert f"/{SHARE}/drop-ins/camera-v4l2.conf" in (found[0].do or "")


def test_a_box_without_systemd_is_nothing_wrong(tmp_path: Path) -> None:
    (found,) = service(Ground(Path("a.toml"), {}, root=tmp_path))
    assert found.level == "unknown"


def test_a_systemctl_that_does_not_answer_is_nothing_wrong(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (found,) = service(Ground(Path("a.toml"), {}, root=tmp_path, run=lambda _: None))
    assert found.level == "unknown"


def test_the_unit_is_the_one_that_this_agent_is_made_for() -> None:
    assert int(_section(UNIT)["Unit"]) == UNIT_VERSION
