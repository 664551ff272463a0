"""Which requests count as obeyed before, and when nothing can be restarted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rpc.allowance import Allowance
from agent.rpc.refusals import RpcRefusedError
from agent.rpc.restart import is_managed
from agent.rpc.rules import Obeyed
from contracts.rpc import SelfTestRequest
from tests.fakes.rpc import NOW, request


def asked(number: int, at: float) -> SelfTestRequest:
    return SelfTestRequest.model_validate(request("self-test", f"r{number}", at))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), max_size=60), st.integers(1, 5))
def test_no_request_is_obeyed_twice_however_few_ids_are_kept(asks: list[tuple[int, int]], most: int) -> None:
    obeyed, done = Obeyed(NOW, most), []
    for number, second in asks:
        one = asked(number, NOW + second)
        try:
            obeyed.check(one)
        except RpcRefusedError:
            continue
        obeyed.note(one)
        done.append((number, second))
    assert len(done) == len(set(done))


def test_what_is_newer_than_all_before_is_always_obeyed() -> None:
    obeyed = Obeyed(NOW, most=3)
    for number in range(100):
        one = asked(number, NOW + number)
        obeyed.check(one)
        obeyed.note(one)


@given(st.lists(st.floats(0, 10), max_size=200))
def test_an_allowance_never_gives_more_than_its_rate(steps: list[float]) -> None:
    now = 0.0
    allowance = Allowance(5.0, 2.0, lambda: now)
    given_out = 0
    for step in steps:
        now += step
        given_out += allowance.take()
        assert given_out <= 5 + 2 * now + 1e-6


@pytest.mark.parametrize(
    ("environment", "managed"),
    [
        ({}, False),
        ({"INVOCATION_ID": "a"}, True),
        ({"NOTIFY_SOCKET": "/run/s"}, True),
        ({"INVOCATION_ID": "a", "SYSTEMD_EXEC_PID": "7"}, True),
        ({"INVOCATION_ID": "a", "SYSTEMD_EXEC_PID": "8"}, False),
        ({"INVOCATION_ID": ""}, False),
    ],
)
def test_a_service_is_told_from_a_shell_below_one(environment: dict[str, str], *, managed: bool) -> None:
    assert is_managed(environment, 7) is managed
