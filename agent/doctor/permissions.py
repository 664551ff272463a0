"""Checks of who may do what: the service's user, the files that it reads and writes, the devices that it needs."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.finding import Finding
from agent.doctor.ground import USER, Ground
from contracts.config import AgentConfig

_ACCELERATORS = ("dev/dri/renderD*", "dev/accel/accel*", "dev/nvmap", "dev/nvidiactl")


@dataclass(frozen=True)
class User:
    """Whom the service runs as.

    Args:
        name: of the user.
        uid: its number.
        groups: the numbers of its groups.
    """

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, path: Path, wanted: int) -> bool:
        """Whether it may read or write a file, by its mode; access lists and the unit's own limits come on top.

        Args:
            path: an existing file.
            wanted: 4 to read, 2 to write, as in a mode.
        """
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        return self.uid == 0 or found.st_mode >> shift & wanted == wanted


def service_user(name: str = USER) -> User | None:
    """The service's user; None where there is none, as on a box that nothing was installed on."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))


def permissions(ground: Ground) -> Iterator[Finding]:
    """See above."""
    user = service_user()
    if user is None:
        yield Finding("permissions", "unknown", f"there is no user {USER}: the agent is not installed as a service")
        user = User("this user", os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))
    yield from of_user(ground, user)


def of_user(ground: Ground, user: User) -> Iterator[Finding]:
    """What a user may do.

    Args:
        ground: of the box.
        user: whom the service runs as.
    """
    problems = list(_files(ground, user))
    if ground.config is not None:
        problems += _devices(ground, ground.config, user)
    yield from problems or [Finding("permissions", "ok", f"{user.name} may read and write what it needs")]


def _files(ground: Ground, user: User) -> Iterator[Finding]:
    if not ground.path.exists():
        return
    if not user.may(ground.path, 4):
        text = f"{user.name} may not read {ground.path}"
        yield Finding(
            "permissions", "wrong", text, f"sudo chown root:{USER} {ground.path} && sudo chmod 640 {ground.path}"
        )
    config = ground.config
    if config is None:
        return
    if ground.path.stat().st_mode & stat.S_IROTH and has_secrets(config):
        text = f"everybody may read {ground.path}, which holds a password"
        yield Finding("permissions", "warning", text, f"sudo chmod 640 {ground.path}")
    state = Path(config.state_dir)
    if state.is_dir() and not user.may(state, 2):
        text = f"{user.name} may not write {state}"
        yield Finding("permissions", "wrong", text, f"sudo chown -R {USER}: {state}")


def has_secrets(config: AgentConfig) -> bool:
    """Whether a password stands in it, or in the source of a camera."""
    pages = config.page is not None and config.page.password is not None
    return pages or bool(config.broker.secrets) or any("@" in camera.source for camera in config.camera)


def _devices(ground: Ground, config: AgentConfig, user: User) -> Iterator[Finding]:
    for camera in config.camera:
        path = ground.root / camera.source.lstrip("/")
        if camera.source.startswith("/dev/") and path.exists() and not user.may(path, 6):
            yield _device(path, user, "wrong")
    for pattern in _ACCELERATORS:
        for path in sorted(ground.root.glob(pattern)):
            if not user.may(path, 6):
                yield _device(path, user, "warning")


def _device(path: Path, user: User, level: str) -> Finding:
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except KeyError:
        group = str(path.stat().st_gid)
    do = f"sudo usermod -aG {group} {USER} && sudo systemctl restart edgetally-agent"
    text = f"{user.name} may not use {path}, which belongs to the group {group}"
    return Finding("permissions", "wrong" if level == "wrong" else "warning", text, do)
