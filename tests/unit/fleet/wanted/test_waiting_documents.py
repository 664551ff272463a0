"""Documents that cannot be made or published hold up no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import DocumentError
from contracts.topics import Channel, Topic
from fleet.store import stale
from fleet.store import wanted as store
from fleet.store.database import Database
from fleet.wanted.publishing import Outbox
from fleet.wanted.signing import Sign, unsigned
from fleet.wanted.tasks import Reissuing, Resolving
from fleet.wanted.writing import WantedWriter
from tests.fakes.rollout_fleet import DAY_MS, FakeFleet
from tests.fakes.session import FakeSession
from tests.unit.fleet.rollout.test_engine import PC


@pytest.fixture
def fleet(tmp_path: Path) -> FakeFleet:
    return FakeFleet(Database(str(tmp_path / "fleet.db")))


def refusing(device: str, document: str) -> str:
    if device.startswith("large"):
        raise DocumentError(device, ["too large"])
    return document


def work(fleet: FakeFleet, sign: Sign = unsigned) -> None:
    """Work out all documents that are to be made anew."""
    configure = '{"log_level":"info"}'
    resolving = Resolving(fleet.database, WantedWriter(sign, DAY_MS), lambda _connection: lambda _device: configure)
    while resolving.turn(fleet.now_ms):
        pass


def test_documents_that_cannot_be_made_anew_do_not_keep_others_from_it(fleet: FakeFleet) -> None:
    fleet.add("large", 250, PC)
    work(fleet)
    fleet.now_ms += 1_000
    fleet.add("small", 3, PC)
    work(fleet)
    fleet.now_ms += DAY_MS // 4 * 3
    reissuing = Reissuing(fleet.database, DAY_MS)
    for _ in range(10):
        reissuing.turn(fleet.now_ms)
        work(fleet, refusing)
    with fleet.database.reading() as connection:
        expires = {one.expires_ms for one in store.load(connection, ["small-0", "small-1", "small-2"]).values()}
        assert not stale.any_stale(connection)
    assert expires == {fleet.now_ms + DAY_MS}


def test_documents_that_the_broker_refuses_are_sent_once_and_take_no_place_from_others(fleet: FakeFleet) -> None:
    fleet.add("p", 600, PC)
    work(fleet)
    session = FakeSession({str(Topic(f"p-{n}", Channel.DESIRED)) for n in range(520)})
    outbox = Outbox(fleet.database, session)
    for _ in range(8):
        outbox.turn()
    assert len(session.published) == 600
    with fleet.database.reading() as connection:
        assert len(store.waiting(connection, 1_000)) == 520
