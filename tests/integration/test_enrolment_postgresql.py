"""Boxes that come at one moment, on PostgreSQL: a token lets in no more than it says, a name is given once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from agent.provisioning.keys import make_key, make_request
from contracts.enrolment import EnrolRequest
from fleet.enrolment.authority import new_authority
from fleet.enrolment.ending import decommission
from fleet.enrolment.enrol import Enrolment
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.enrolment.terms import Terms
from fleet.enrolment.tokens import Bounds
from fleet.store.database import Database
from fleet.store.enrolment import EnrolTokens, all_enrolled, revoked
from tests.integration.postgres import postgres
from tests.unit.fleet.enrolment.enrolments import AUTHOR, BROKER, DAY_MS, START_MS
from tests.unit.fleet.enrolment.test_enrol import renewal

AT_ONCE = 8


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres() as address:
        opened = Database(address)
        yield opened
        opened.close()


def at_once(work: Callable[[int], str]) -> Counter[str]:
    """What each of some threads says that do it at one moment."""
    barrier, said = threading.Barrier(AT_ONCE), list[str]()

    def run(number: int) -> None:
        barrier.wait()
        try:
            said.append(work(number))
        except EnrolmentRefusedError as error:
            said.append(error.code)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(said)


def make_enrolment(database: Database) -> Enrolment:
    return Enrolment(database, new_authority("test", START_MS, 3_650), Terms(BROKER, ""))


def token(database: Database, uses: int) -> str:
    return EnrolTokens(database).add("", Bounds(uses), AUTHOR, START_MS, START_MS + DAY_MS)[1]


def request(text: str, name: str) -> EnrolRequest:
    return EnrolRequest(token=SecretStr(text), csr=make_request(make_key()), name=name)


def test_a_token_for_three_lets_in_three_of_many_that_come_at_once(database: Database) -> None:
    enrolment, text = make_enrolment(database), token(database, 3)
    requests = [request(text, f"box-{number}") for number in range(AT_ONCE)]

    def enrol(number: int) -> str:
        enrolment.enrol(requests[number], START_MS)
        return "in"

    assert at_once(enrol) == {"in": 3, "token_used_up": AT_ONCE - 3}
    assert EnrolTokens(database).all()[-1].used == 3


def test_of_many_that_want_one_name_one_gets_it(database: Database) -> None:
    enrolment = make_enrolment(database)
    requests = [request(token(database, 1), "gate-1") for _ in range(AT_ONCE)]

    def enrol(number: int) -> str:
        enrolment.enrol(requests[number], START_MS)
        return "in"

    assert at_once(enrol) == {"in": 1, "name_taken": AT_ONCE - 1}


@pytest.mark.parametrize("way", ["again", "renewed"])
def test_a_box_that_comes_while_it_is_decommissioned_has_no_certificate_in_the_end(
    database: Database, way: str
) -> None:
    enrolment, text = make_enrolment(database), token(database, AT_ONCE)
    keys = [make_key() for _ in range(AT_ONCE)]
    names = [f"{way}-{number}" for number in range(AT_ONCE)]
    first = [
        EnrolRequest(token=SecretStr(text), csr=make_request(key), name=name)
        for key, name in zip(keys, names, strict=True)
    ]
    issued = [enrolment.enrol(one, START_MS).certificate for one in first]

    def come(number: int) -> str:
        if number % 2:
            return str(decommission(database, names[number - 1], AUTHOR, START_MS))
        if way == "again":
            enrolment.enrol(first[number], START_MS)
        else:
            identity = keys[number] + issued[number].encode()
            enrolment.renew(renewal(identity, make_key()), START_MS)
        return "in"

    said = at_once(come)
    assert set(said) <= {"1", "2", "in", "token_used_up", "decommissioned"}
    with database.reading() as connection:
        states = {each.device: (each.state, each.expires_ms) for each in all_enrolled(connection)}
        ended = {each.device for each in revoked(connection, START_MS)}
    for number in range(0, AT_ONCE, 2):
        assert states[names[number]] == ("decommissioned", None), "no certificate of it holds"
        assert names[number] in ended
