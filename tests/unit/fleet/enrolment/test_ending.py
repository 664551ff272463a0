"""A box that is decommissioned is gone, stays gone, and comes back only where somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from contracts.errors import UnknownNameError
from contracts.topics import Channel, Topic
from fleet.configuration.layers import Layer, LayerName
from fleet.enrolment.clearing import retained_topics
from fleet.enrolment.ending import allow, decommission, revocation_list
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.ingest import Arrived, Ingest
from fleet.inventory.query_parser import parse_query
from fleet.store.audit import AuditLog
from fleet.store.devices import DeviceStore
from fleet.store.layers import LayerStore
from fleet.wanted.layers import configure_from
from fleet.wanted.publishing import Outbox
from fleet.wanted.signing import unsigned
from fleet.wanted.tasks import Resolving
from fleet.wanted.watching import wanted_watch
from fleet.wanted.writing import WantedWriter
from tests.fakes.fleet import facts, hello
from tests.fakes.inventory import MemoryCounts
from tests.unit.fleet.enrolment.enrolments import AUTHOR, DAY_MS, Fleet


class Session:
    """A broker that takes everything."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> int:
        self.sent.append((topic, payload))
        return len(self.sent)

    def confirmed(self) -> list[int]:
        return list(range(1, len(self.sent) + 1))

    def refused(self) -> list[int]:
        return []


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def hear(fleet: Fleet, *messages: tuple[str, bytes]) -> Ingest:
    """Boxes tell something."""
    ingest = Ingest(DeviceStore(fleet.database, (wanted_watch(lambda: 0.0),)), MemoryCounts())
    ingest.take([Arrived(*message, False, fleet.now_ms) for message in messages])
    return ingest


def known(fleet: Fleet) -> set[str]:
    return {each.device.device for each in DeviceStore(fleet.database).all()}


def test_its_certificates_are_on_the_list_and_no_others(fleet: Fleet) -> None:
    answer = fleet.enrol(fleet.token(), "box-1")
    other = fleet.enrol(fleet.token(), "box-2")
    assert decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms) == 1
    found = x509.load_pem_x509_crl(revocation_list(fleet.database, fleet.authority, fleet.now_ms).encode())
    key = fleet.authority.key.public_key()
    assert found.is_signature_valid(key)
    numbers = [x509.load_pem_x509_certificate(one.certificate.encode()).serial_number for one in (answer, other)]
    assert [found.get_revoked_certificate_by_serial_number(number) is not None for number in numbers] == [True, False]
    assert found.next_update_utc == fleet.authority.expires, "a list that is out of date would lock everybody out"
    later = fleet.now_ms + 731 * DAY_MS
    over = x509.load_pem_x509_crl(revocation_list(fleet.database, fleet.authority, later).encode())
    assert not list(over), "what is over by itself need not be on it"


def test_the_inventory_forgets_it_and_takes_nothing_of_it_in_any_more(fleet: Fleet) -> None:
    fleet.enrol(fleet.token(), "box-1")
    hear(fleet, hello("box-1"), hello("box-2"))
    decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    assert known(fleet) == {"box-2"}
    ingest = hear(fleet, facts("box-1"), hello("box-1"), hello("box-2", boot_id="other"))
    assert known(fleet) == {"box-2"}
    assert (ingest.refused["decommissioned"], ingest.taken) == (2, 1)


def test_its_name_is_refused_until_it_is_allowed_and_then_given_once(fleet: Fleet) -> None:
    fleet.enrol(fleet.token(), "box-1")
    decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    with pytest.raises(EnrolmentRefusedError, match="`edgetally-fleet enrol allow box-1`") as error:
        fleet.enrol(fleet.token(), "box-1")
    assert error.value.code == "decommissioned"
    allow(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    assert fleet.enrol(fleet.token(), "box-1").device == "box-1"
    hear(fleet, hello("box-1"))
    assert known(fleet) == {"box-1"}
    with pytest.raises(EnrolmentRefusedError, match="a box box-1 already"):
        fleet.enrol(fleet.token(), "box-1")


def test_the_old_certificate_does_not_come_back_with_the_name(fleet: Fleet) -> None:
    from agent.provisioning.keys import make_key
    from tests.unit.fleet.enrolment.test_enrol import renewal

    key, token = make_key(), fleet.token()
    identity = key + fleet.enrol(token, "box-1", key=key).certificate.encode()
    decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    allow(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    with pytest.raises(EnrolmentRefusedError, match="was revoked"):
        fleet.enrolment.renew(renewal(identity, make_key()), fleet.now_ms)
    with pytest.raises(EnrolmentRefusedError, match="let in the 1 it was for"):
        fleet.enrol(token, "box-1", key=key)


def test_what_it_should_run_is_taken_back_from_the_broker_and_goes_on_where_it_was_if_it_returns(fleet: Fleet) -> None:
    devices = DeviceStore(fleet.database)
    layers = LayerStore(fleet.database, lambda: (each.device for each in devices.all()))
    layer = Layer(LayerName("fleet", "fleet"), {"window_seconds": 5}, parse_query(""), 0)
    layers.set(layer, 0, AUTHOR, fleet.now_ms)
    resolving = Resolving(fleet.database, WantedWriter(unsigned, 60 * DAY_MS), configure_from)
    session = Session()

    def publish() -> list[tuple[str, bytes]]:
        resolving.turn(fleet.now_ms)
        outbox, before = Outbox(fleet.database, session), len(session.sent)
        outbox.turn()
        outbox.turn()
        return session.sent[before:]

    topic = str(Topic("box-1", Channel.DESIRED))
    fleet.enrol(fleet.token(), "box-1")
    hear(fleet, hello("box-1"))
    ((where, first),) = publish()
    assert (where, b'"config_revision":1' in first) == (topic, True)
    decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    assert publish() == [(topic, b"")]
    assert publish() == []
    allow(fleet.database, "box-1", AUTHOR, fleet.now_ms)
    fleet.enrol(fleet.token(), "box-1")
    hear(fleet, hello("box-1"))
    ((_, again),) = publish()
    assert b'"config_revision":2' in again, "a box that remembers the first refuses it"


def test_it_is_done_once_however_often_it_is_said_and_who_did_it_is_known(fleet: Fleet) -> None:
    fleet.enrol(fleet.token(), "box-1")
    assert [decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms) for _ in range(2)] == [1, 0]
    found = [each.entry for each in AuditLog(fleet.database).newest(9) if each.entry.action == "enrol.decommission"]
    assert [(entry.author, entry.subject) for entry in found] == [(AUTHOR, "box-1")]


def test_a_box_that_was_set_up_by_hand_is_decommissioned_as_well(fleet: Fleet) -> None:
    hear(fleet, hello("box-1"))
    assert decommission(fleet.database, "box-1", AUTHOR, fleet.now_ms) == 0
    assert known(fleet) == set()


def test_a_name_that_nobody_has_is_a_typing_error(fleet: Fleet) -> None:
    fleet.enrol(fleet.token(), "box-1")
    with pytest.raises(UnknownNameError, match="did you mean 'box-1'"):
        decommission(fleet.database, "box1", AUTHOR, fleet.now_ms)
    with pytest.raises(UnknownNameError, match="did you mean 'box-1'"):
        allow(fleet.database, "box1", AUTHOR, fleet.now_ms)


def test_every_topic_on_which_the_broker_keeps_something_of_a_box_is_cleared() -> None:
    found = retained_topics("box-1", ["gate"], ["homeassistant"])
    assert found == [
        "edgetally/v1/box-1/status",
        "edgetally/v1/box-1/facts",
        "edgetally/v1/box-1/reported",
        "edgetally/v1/box-1/camera/gate/state",
        "homeassistant/device/box-1/config",
    ]
