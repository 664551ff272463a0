"""Files that the service may not read, that everybody may read, and devices of other groups are found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.doctor.finding import Finding
from agent.doctor.ground import Ground
from agent.doctor.permissions import User, of_user
from agent.remote.local import explain

FILE = """
device = "box-1"
bundle = "b"
state_dir = "{state}"
[broker]
host = "broker.example"
{password}
[[camera]]
id = "gate"
source = "/dev/video0"
"""
OTHER = User("edgetally", 12_345, frozenset({12_345}))


def find(folder: Path, user: User = OTHER, *, mode: int = 0o644, password: str = "") -> list[Finding]:
    (folder / "state").mkdir(exist_ok=True)
    path = folder / "agent.toml"
    path.write_text(FILE.format(state=folder / "state", password=password))
    path.chmod(mode)
    return list(of_user(Ground(path, {}, explain(path), root=folder), user))


def wrong(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.level, one.do or "") for one in found if one.level != "ok"]


def test_a_file_that_the_service_may_not_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    ((level, do),) = wrong(find(tmp_path, mode=0o600))
    assert level == "wrong"
    assert f"chmod 640 {tmp_path / 'agent.toml'}" in do


def test_a_password_that_everybody_may_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    ((level, do),) = wrong(find(tmp_path, password='password = "hunter2"'))
    assert (level, do) == ("warning", f"sudo chmod 640 {tmp_path / 'agent.toml'}")
    assert wrong(find(tmp_path)) == []


def test_a_state_directory_of_somebody_else_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    ((level, do),) = wrong(find(tmp_path))
    assert (level, do) == ("wrong", f"sudo chown -R edgetally: {tmp_path / 'state'}")


@pytest.mark.parametrize(("node", "level"), [("dev/video0", "wrong"), ("dev/dri/renderD128", "warning")])
def test_a_device_of_a_group_that_the_service_is_not_in_is_found(node: str, level: str, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    path = tmp_path / node
    path.parent.mkdir(parents=True)
    path.touch()
    path.chmod(0o660)
    ((found, do),) = wrong(find(tmp_path))
    assert found == level
    assert "usermod -aG" in do
    in_group = User("edgetally", 12_345, frozenset({path.stat().st_gid}))
    assert wrong(find(tmp_path, in_group)) == []


def test_whoever_owns_all_is_well(tmp_path: Path) -> None:
    me = User("me", os.geteuid(), frozenset({os.getegid()}))
    assert [one.level for one in find(tmp_path, me, mode=0o600)] == ["ok"]
