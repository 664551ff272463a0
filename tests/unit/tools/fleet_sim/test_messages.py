"""What simulated boxes say is what the contracts' models say, key by key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from agent.update import rules
from agent.update.rules import Attempt, Wish
from contracts.desired import RefusedDocument, Reported, RunningModel
from contracts.documents import MachineModel
from contracts.health import Health
from contracts.messages import CountReport, FactsMessage, Hello, Status
from contracts.update import WantedModel
from tools.fleet_sim import messages
from tools.fleet_sim.messages import Applied, Identity
from tools.fleet_sim.scenarios import CLASSES
from tools.fleet_sim.updating import NEW, OLD

ME = Identity("box-1", "boot-1")
AT_MS = 1_796_212_800_123
APPLIED = Applied(3, 4, "c" * 64, 5)
WISH = Wish(epoch=3, model_revision=5, models={"main": WantedModel(name="m", version="2", manifest="f" * 64)})


def same(payload: bytes, model: type[BaseModel]) -> Any:
    """Every key that was said is one of the model's, with the value that the model gives it; the model."""
    said = json.loads(payload)
    read = model.model_validate(said)
    assert said == {**said, **{k: v for k, v in read.model_dump(mode="json", by_alias=True).items() if k in said}}
    assert set(said) <= {field.alias or name for name, field in model.model_fields.items()}
    return read


def whole(payload: bytes, model: MachineModel) -> None:
    assert json.loads(payload) == model.model_dump(mode="json", by_alias=True)


def test_status_hello_and_facts_are_those_of_the_contracts() -> None:
    at = "2026-12-02T12:00:00.123Z"
    whole(messages.status(ME, "online", AT_MS), Status(status="online", boot_id="boot-1", reason="", at=at))
    will = Status(status="offline", boot_id="boot-1", reason="lost", at=None)
    whole(messages.status(ME, "offline", None, "lost"), will)
    told = Hello(
        device="box-1", boot_id="boot-1", version="1.0.0", epoch=3, config_revision=4, model_revision=5,
        models={"main": NEW.artifact},
    )  # fmt: skip
    whole(messages.hello(ME, APPLIED, {"main": NEW}), told)
    for each in CLASSES:
        told_facts = FactsMessage(device="box-1", labels={"site": "s"}, facts=each.facts)
        whole(messages.facts("box-1", each.facts, {"site": "s"}), told_facts)


@pytest.mark.parametrize(
    "attempt",
    [
        None,
        rules.begun(WISH, None),
        rules.broke(rules.begun(WISH, None), "unknown_release", "no such release"),
        rules.settled(rules.begun(WISH, None), "committed", "it ran well"),
    ],
)
def test_a_report_is_that_of_the_contracts(attempt: Attempt | None) -> None:
    refused = RefusedDocument(epoch=3, config_revision=9, model_revision=9, code="expired", reason="too old")
    running = RunningModel(
        artifact_digest=OLD.artifact, loaded_digest=OLD.artifact, name="m", version="1", manifest="0" * 64
    )
    told = Reported(
        device="box-1", boot_id="boot-1", seq=7, at="2026-12-02T12:00:00.123Z", epoch=3, config_revision=4,
        config_digest="c" * 64, model_revision=5, models={"main": running}, state="ok", code="", reason="",
        refused=refused, update=None if attempt is None else attempt.report(),
    )  # fmt: skip
    said = messages.reported(ME, 7, AT_MS, APPLIED, {"main": OLD}, refused.model_dump(mode="json"), attempt)
    whole(said, told)


def test_health_and_counts_say_nothing_that_the_contracts_do_not_know() -> None:
    health = same(messages.health("box-1", AT_MS, 12.5, OLD.artifact, 375), Health)
    assert health.cameras["gate"].frames_seen == 375
    counts = same(messages.counts(ME, 3, (AT_MS - 60_000, AT_MS), 5, 9, OLD.artifact), CountReport)
    assert (counts.lines["road"].in_, counts.lines["road"].total_in, counts.coverage) == (5, 9, 1.0)
