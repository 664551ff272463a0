"""Provisioning under ``kill -9`` at every operation on the disk: the box is provisioned, whole, or it is as before; and
the same command, given again, ends it with the one use of its token.

A real disk and real processes: each operation is one child that is killed there, before it or, for a write, half way.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.disk import Disk
from agent.provisioning.folder import IdentityFolder, OwnedDisk
from agent.provisioning.provision import provision, renew
from agent.settings import load_config
from contracts.desired import OperatorKey
from contracts.enrolment import BrokerAddress, Invitation
from contracts.errors import DocumentError
from fleet.enrolment.terms import Terms
from fleet.store.enrolment import EnrolTokens
from tests.integration.deadly_disks import DeadlyDisk, Death
from tests.unit.fleet.enrolment.enrolments import Fleet, LocalServer

ROOT = Path(__file__).resolve().parents[2]
KEY = OperatorKey.model_validate({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "d7" * 32}})
TERMS = Terms(BrokerAddress(host="broker.example", port=8883, ca="an authority"), "", (), "{}", {"op": KEY})
FILE = 'bundle = "b"\nstate_dir = "{state}"\n[[camera]]\nid = "gate"\nsource = "synthetic"\n'


class DeadlyOwnedDisk(DeadlyDisk, OwnedDisk):
    """A disk whose files are another user's, and that kills its process."""

    def __init__(self, directory: Path, owner: Path, death: Death) -> None:
        OwnedDisk.__init__(self, directory, owner)
        self._death = death


def deadly(at: int) -> Callable[[Path, Path], Disk]:
    death = Death(at)
    return lambda directory, owner: DeadlyOwnedDisk(directory, owner, death)


class Place:
    """A box and the fleet that lets it in, in one folder."""

    def __init__(self, folder: Path, disk: Callable[[Path, Path], Disk] = OwnedDisk) -> None:
        self.fleet = Fleet(folder, TERMS)
        self.box = IdentityFolder(folder / "state", disk)
        self._tokens = folder / "tokens"

    def token(self, name: str) -> str:
        """The one token of that name, which is for one box."""
        path = self._tokens / name
        if not path.exists():
            self._tokens.mkdir(exist_ok=True)
            path.write_text(self.fleet.token())
        return path.read_text()

    def provision(self, name: str, *, again: bool = False) -> None:
        plain = {"server": "https://fleet.example", "token": self.token(name), "name": name}
        provision(self.box, Invitation.model_validate(plain), None, LocalServer(self.fleet), again=again)

    def renew(self) -> None:
        record = self.box.provisioned
        assert record is not None
        renew(self.box, record, LocalServer(self.fleet))


def _nothing(place: Place) -> None:
    place.token("gate-1")


def _first(place: Place) -> None:
    place.provision("gate-1")


def _two(place: Place) -> None:
    place.provision("gate-1")
    place.token("gate-2")


def _second(place: Place) -> None:
    place.provision("gate-2", again=True)


CHANGES: dict[str, tuple[Callable[[Place], None], Callable[[Place], None]]] = {
    "the first identity": (_nothing, _first),
    "another identity": (_two, _second),
    "a renewal": (_first, Place.renew),
}
"""What is there before, and the change."""


def kill_everywhere(folder: Path, change: str) -> list[dict[str, Any]]:
    """What is found after the change was killed at each of its operations, then once more after it was done again."""
    prepare, work = CHANGES[change]
    before = folder / "before"
    before.mkdir(parents=True)
    _in_child(partial(_do, prepare, before, OwnedDisk))
    found = []
    for operation in range(200):
        here = folder / str(operation)
        shutil.copytree(before, here)
        killed = _in_child(partial(_do, work, here, deadly(operation)))
        first = _look(here)
        _in_child(partial(_do, work, here, OwnedDisk))
        found.append({"killed": killed, "first": first, "again": _look(here)})
        if not killed:
            return found
    raise AssertionError("a change takes less than 200 operations")


def _do(work: Callable[[Place], None], folder: Path, disk: Callable[[Path, Path], Disk]) -> None:
    work(Place(folder, disk))


def _in_child(work: Callable[[], None]) -> bool:
    """Whether it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - a child of a fork ends here
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _look(folder: Path) -> dict[str, Any]:
    """What the agent's next start finds."""
    state, config = folder / "state", folder / "agent.toml"
    config.write_text(FILE.format(state=state))
    fleet = Fleet(folder, TERMS)
    used = [token.used for token in EnrolTokens(fleet.database).all()]
    fleet.database.close()
    try:
        settings = load_config(config)
    except DocumentError:  # it lacks the name and the broker
        return {"device": None, "used": used}
    tls = settings.broker.tls
    assert tls is not None
    context = ssl.create_default_context()
    context.load_cert_chain(str(tls.certificate), tls.key)
    assert Path(tls.ca or "").read_text() == "an authority"
    assert (state / "root.json").read_text() == "{}"
    assert "op" in json.loads((state / "operator-keys.json").read_text())
    identity = Path(str(tls.certificate)).read_text()
    files = sorted(path.name for path in (state / "identity").iterdir())
    return {"device": settings.device, "used": used, "identity": identity, "files": files}


def kill_all(folder: Path) -> None:
    """What the process of the test does: every change, killed everywhere."""
    found = {change: kill_everywhere(folder / str(number), change) for number, change in enumerate(CHANGES)}
    sys.stdout.write(json.dumps(found))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What was found, by change."""
    # A process of its own, as forking this one, with its threads, is not safe.
    program = "import sys; from pathlib import Path; from tests.integration import test_provisioning_kill as t; "
    program += "t.kill_all(Path(sys.argv[1]))"
    command = [sys.executable, "-c", program, str(tmp_path_factory.mktemp("killed"))]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result: dict[str, list[dict[str, Any]]] = json.loads(run.stdout)
    return result


Found = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ("the first identity", None, "gate-1"),
        ("another identity", "gate-1", "gate-2"),
        ("a renewal", "gate-1", "gate-1"),
    ],
)
def test_killed_anywhere_the_box_is_as_before_or_provisioned_whole(
    found: Found, change: str, before: str | None, after: str
) -> None:
    attempts = found[change]
    assert sum(one["killed"] for one in attempts) >= 10, (
        "keys, certificates and the record are each written and flushed"
    )
    devices = [one["first"]["device"] for one in attempts]
    turn = devices.index(after)
    assert devices == [before] * turn + [after] * (len(devices) - turn)
    assert change == "a renewal" or 0 < turn < len(devices) - 1


@pytest.mark.parametrize("change", CHANGES)
def test_given_again_the_command_ends_it_and_uses_its_token_up_once(found: Found, change: str) -> None:
    for one in found[change]:
        again = one["again"]
        assert again["device"] == ("gate-2" if change == "another identity" else "gate-1")
        assert set(again["used"]) == {1}
        assert len(again["files"]) == 3, "the record, the identity and the broker's authority; nothing is left over"


def test_a_renewal_killed_anywhere_has_the_old_certificate_or_the_new_one(found: Found) -> None:
    identities = [one["first"]["identity"] for one in found["a renewal"]]
    old = identities[0]
    turn = next(number for number, identity in enumerate(identities) if identity != old)
    assert 0 < turn < len(identities) - 1
    assert all(identity == old for identity in identities[:turn])
    assert all(identity != old for identity in identities[turn:])
