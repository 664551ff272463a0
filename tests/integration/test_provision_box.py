"""A box gets its identity, whole or not at all, and the agent runs as who it is."""

from __future__ import annotations

import datetime as dt
import json
import os
import ssl
import stat
from pathlib import Path

import pytest

from agent.provisioning.errors import ProvisionedError, RefusedError
from agent.provisioning.folder import PENDING, IdentityFolder
from agent.provisioning.provision import is_due, provision, renew
from agent.records import RecordDamagedError
from agent.remote.local import explain
from agent.settings import load_config
from contracts.desired import OperatorKey
from contracts.enrolment import Invitation
from fleet.enrolment.terms import Terms
from tests.unit.fleet.enrolment.enrolments import BROKER, DAY_MS, Fleet, LocalServer

SERVER = "https://fleet.example"
KEY = OperatorKey.model_validate({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "d7" * 32}})
FILE = 'bundle = "b"\nstate_dir = "{state}"\n[[camera]]\nid = "gate"\nsource = "synthetic"\n'


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    (tmp_path / "fleet").mkdir()
    broker = BROKER.model_copy(update={"ca": "the broker's authority"})
    return Fleet(tmp_path / "fleet", Terms(broker, "", ("https://models.example",), "{}", {"op": KEY}))


@pytest.fixture
def folder(tmp_path: Path) -> IdentityFolder:
    return IdentityFolder(tmp_path / "state")


def invitation(fleet: Fleet, name: str | None = None, **bounds: object) -> Invitation:
    return Invitation.model_validate({"server": SERVER, "token": fleet.token(**bounds), "name": name})  # type: ignore[arg-type]


def files(folder: IdentityFolder) -> dict[str, bytes]:
    top = folder.state.directory
    return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


def test_a_box_has_a_key_a_certificate_and_whom_it_trusts(fleet: Fleet, folder: IdentityFolder) -> None:
    done = provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet))
    assert (done.new, done.record.device) == (True, "gate-1")
    found = files(folder)
    assert json.loads(found["operator-keys.json"]) == {"op": KEY.model_dump(mode="json")}
    assert found["root.json"] == b"{}"
    identity = folder.own.directory / done.record.identity
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(identity, identity)
    assert f"identity/{PENDING}" not in found, "the key lies in one place"
    assert sum(data.count(b"PRIVATE KEY-----") for data in found.values()) == 2, "one begin and one end"
    for path in folder.own.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.own.directory.stat().st_mode) == 0o700


def test_the_agent_runs_as_who_it_is_with_a_file_that_is_the_same_on_every_box(
    fleet: Fleet, folder: IdentityFolder, tmp_path: Path
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(FILE.format(state=folder.state.directory))
    record = provision(folder, invitation(fleet, "gate-1", labels={"site": "a"}), None, LocalServer(fleet)).record
    settings = load_config(config)
    assert (settings.device, settings.broker.address) == ("gate-1", "broker.example:8883")
    assert settings.labels == {"site": "a"}
    assert settings.update.server == ("https://models.example",)
    tls = settings.broker.tls
    assert tls is not None
    assert tls.certificate == tls.key == str(folder.own.directory / record.identity)
    assert Path(tls.ca or "").read_text() == "the broker's authority"
    layers = {value.path: value.layer for value in explain(config).values}
    assert (layers[("device",)], layers[("broker", "host")]) == ("provisioning", "provisioning")


def test_what_the_boxs_own_file_says_stands_over_what_it_was_given(
    fleet: Fleet, folder: IdentityFolder, tmp_path: Path
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('device = "mine"\n' + FILE.format(state=folder.state.directory) + '[broker]\nhost = "near"\n')
    provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet))
    settings = load_config(config)
    assert (settings.device, settings.broker.address) == ("mine", "near:8883")


def test_a_box_that_is_provisioned_asks_nobody_again(fleet: Fleet, folder: IdentityFolder) -> None:
    server, given = LocalServer(fleet), invitation(fleet, "gate-1", uses=2, names="*")
    provision(folder, given, None, server)
    before = files(folder)
    done = provision(folder, given, None, server)
    assert (done.new, server.asked) == (False, 1)
    assert files(folder) == before


@pytest.mark.parametrize("change", [{"server": "https://other.example"}, {"name": "gate-2"}])
def test_a_box_becomes_no_other_one_unless_told_so(
    fleet: Fleet, folder: IdentityFolder, change: dict[str, str]
) -> None:
    server = LocalServer(fleet)
    provision(folder, invitation(fleet, "gate-1"), None, server)
    other = invitation(fleet, "gate-2").model_copy(update=change)
    with pytest.raises(ProvisionedError, match="already; give --again"):
        provision(folder, other, None, server)
    done = provision(folder, invitation(fleet, "gate-2"), None, server, again=True)
    assert done.record.device == "gate-2"
    identities = [name for name in files(folder) if "identity-" in name]
    assert identities == [f"identity/{done.record.identity}"], "the key before is gone"


def test_a_box_that_is_refused_stays_as_it_was_and_says_why(fleet: Fleet, folder: IdentityFolder) -> None:
    given = invitation(fleet, "gate-1")
    fleet.enrol(given.token.get_secret_value(), "gate-0")
    with pytest.raises(RefusedError, match=r"not let in \(token_used_up\): token .* ask for another one") as error:
        provision(folder, given, None, LocalServer(fleet))
    assert given.token.get_secret_value() not in str(error.value)
    assert folder.provisioned is None


def test_a_box_whose_answer_was_lost_is_let_in_by_the_same_token(fleet: Fleet, folder: IdentityFolder) -> None:
    def lose() -> None:
        raise ConnectionError

    given = invitation(fleet, None, names="shop-*")
    with pytest.raises(ConnectionError):
        provision(folder, given, "SN1", LocalServer(fleet, lose))
    assert provision(folder, given, "SN1", LocalServer(fleet)).record.device == "shop-sn1"


def test_a_root_that_came_with_the_image_is_not_replaced_over_a_network(fleet: Fleet, folder: IdentityFolder) -> None:
    folder.state.replace("root.json", b"of the image")
    folder.state.replace("operator-keys.json", b"{}")
    done = provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet))
    assert done.root_kept
    assert (folder.state.read("root.json"), folder.state.read("operator-keys.json")) == (b"of the image", b"{}")
    done = provision(folder, invitation(fleet, "gate-2"), None, LocalServer(fleet), again=True)
    assert not done.root_kept
    assert folder.state.read("root.json") == b"{}"


def test_a_record_that_is_damaged_is_said_and_not_taken_for_none(fleet: Fleet, folder: IdentityFolder) -> None:
    provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet))
    folder.own.replace("provisioned", b"half")
    with pytest.raises(RecordDamagedError, match="provisioned is damaged"):
        provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet))


def test_a_certificate_is_renewed_with_a_new_key_once_half_of_its_time_is_over(
    fleet: Fleet, folder: IdentityFolder
) -> None:
    record = provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet)).record
    begin = dt.datetime.fromtimestamp(fleet.now_ms / 1000, dt.timezone.utc)
    assert not is_due(folder, record, begin + dt.timedelta(days=364))
    assert is_due(folder, record, begin + dt.timedelta(days=366))
    before, fleet.now_ms = files(folder), fleet.now_ms + 366 * DAY_MS
    after = renew(folder, record, LocalServer(fleet))
    assert after.expires == record.expires + dt.timedelta(days=366)
    found = files(folder)
    changed = {name for name in found if found[name] != before.get(name)}
    assert changed == {f"identity/{record.identity}", "identity/provisioned"}
    identity = folder.own.directory / record.identity
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(identity, identity)


def test_a_renewal_whose_answer_was_lost_is_asked_for_again(fleet: Fleet, folder: IdentityFolder) -> None:
    def lose() -> None:
        raise ConnectionError

    record = provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet)).record
    before = folder.own.read(record.identity)
    with pytest.raises(ConnectionError):
        renew(folder, record, LocalServer(fleet, lose))
    assert folder.own.read(record.identity) == before, "the old one holds"
    assert renew(folder, record, LocalServer(fleet)).device == "gate-1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_whom_the_state_directory_belongs(fleet: Fleet, folder: IdentityFolder) -> None:
    folder.state.directory.mkdir()
    os.chown(folder.state.directory, 12_345, 12_346)
    provision(folder, invitation(fleet, "gate-1"), None, LocalServer(fleet))
    found = [folder.own.directory, *folder.own.directory.iterdir(), *folder.state.directory.iterdir()]
    assert len(found) == 7
    assert {(path.stat().st_uid, path.stat().st_gid) for path in found} == {(12_345, 12_346)}
