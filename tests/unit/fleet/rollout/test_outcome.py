"""What a box made of an offer, in every case that an agent reports."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.desired import RefusalCode, RefusedDocument, RunningModel
from contracts.update import UpdateCode, UpdateReport, UpdateState, WantedModel
from fleet.inventory.device import Device
from fleet.rollout.outcome import LEFT, Offer, Outcome, outcome, runs_release

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
OFFER = Offer(epoch=2, model_revision=7, slot="main", artifacts=frozenset({NEW}), manifest="f" * 64)
COMMITTED = Offer(epoch=2, model_revision=7, slot="main", artifacts=frozenset({NEW}), manifest="f" * 64, committed=True)
WANTED = {"main": WantedModel(name="vehicle-density", version="1.1.0")}

STATES: tuple[UpdateState, ...] = get_args(UpdateState)
ACTIVE: tuple[UpdateState, ...] = ("activate", "probation", "rolling_back")
BEFORE: tuple[UpdateState, ...] = ("resolve", "fetch", "verify", "prepare", "selftest", "shadow")


def update(state: UpdateState, code: UpdateCode | None = None, **more: Any) -> UpdateReport:
    given = {"attempt": 3, "epoch": 2, "model_revision": 7, "state": state, "code": code, "models": WANTED}
    return UpdateReport.model_validate(given | more)


def box(digest: str | None = OLD, revision: int | None = 6, epoch: int | None = 2, **more: Any) -> Device:
    models = {} if digest is None else {"main": RunningModel(artifact_digest=digest)}
    return Device(device="box-1", epoch=epoch, model_revision=revision, models=models, **more)


def refused(code: RefusalCode, epoch: int | None = 2, revision: int | None = 7) -> RefusedDocument:
    return RefusedDocument(epoch=epoch, model_revision=revision, code=code, reason="why")


def stand(device: Device, offer: Offer) -> tuple[str, str | None]:
    found = outcome(device, offer)
    return found.state, found.code


def test_a_box_that_told_nothing_has_come_to_no_end() -> None:
    assert outcome(Device(device="box-1"), OFFER).state == "offered"


def test_it_committed_once_the_attempt_says_so_and_an_artifact_of_the_release_runs() -> None:
    assert stand(box(NEW, 7, update=update("committed", "committed_offline")), OFFER) == (
        "committed",
        "committed_offline",
    )


@pytest.mark.parametrize("state", [*BEFORE, *ACTIVE])
def test_an_attempt_that_goes_on_is_no_end(state: UpdateState) -> None:
    assert outcome(box(update=update(state)), OFFER).state == "offered"


def test_a_box_in_probation_has_not_committed_although_its_revision_is_the_offered_one() -> None:
    assert outcome(box(NEW, 7, update=update("probation")), OFFER).state == "offered"
    # The first report after a restart may say nothing of the attempt.
    assert outcome(box(NEW, 7, update=None), OFFER).state == "offered"


def test_a_commit_that_is_said_of_something_else_than_runs_is_none() -> None:
    assert stand(box(OTHER, 7, update=update("committed", "committed")), OFFER) == ("failed", LEFT)
    assert outcome(box(None, 7, update=update("committed", "committed")), OFFER).state == "offered"


@pytest.mark.parametrize(
    ("state", "code", "hard", "transient"),
    [
        ("rejected", "no_artifact_fits", False, False),
        ("failed", "server_unreachable", False, True),
        ("failed", "no_space", False, True),
        ("failed", "cancelled", False, False),
        ("failed", "too_many_steps", False, False),
        ("rolled_back", "fps_low", False, False),
        ("rollback_failed", "previous_broken", True, False),
    ],
)
def test_an_attempt_that_ended_otherwise_failed(
    state: UpdateState, code: UpdateCode, *, hard: bool, transient: bool
) -> None:
    found = outcome(box(update=update(state, code, reason="why")), OFFER)
    assert found == Outcome("failed", code, "why", hard, transient)


def test_a_box_that_went_back_failed_even_where_the_old_model_is_of_the_release() -> None:
    assert outcome(box(NEW, 6, update=update("rolled_back", "errors")), OFFER).state == "failed"


def test_the_attempt_of_an_earlier_document_says_nothing() -> None:
    assert outcome(box(NEW, 7, update=update("committed", "committed", epoch=1)), OFFER).state == "offered"
    assert outcome(box(update=update("rejected", "bundle_invalid", model_revision=6)), OFFER).state == "offered"


def test_the_same_number_in_an_earlier_epoch_is_another_document() -> None:
    restored = box(NEW, 7, update=update("rolled_back", "errors", epoch=1, model_revision=8))
    assert outcome(restored, OFFER).state == "offered"


def test_a_newer_document_supersedes() -> None:
    assert outcome(box(update=update("resolve", model_revision=8)), OFFER).state == "superseded"
    assert outcome(box(update=update("resolve", epoch=3, model_revision=1)), OFFER).state == "superseded"
    assert outcome(box(epoch=3), OFFER).state == "superseded"
    assert outcome(box(update=update("resolve", model_revision=8)), COMMITTED).state == "superseded"
    assert outcome(box(update=update("superseded", "newer_wish")), OFFER).state == "superseded"


def test_models_of_an_earlier_epoch_with_a_high_number_do_not_supersede() -> None:
    assert (
        outcome(box(OLD, 90, epoch=2, update=update("committed", epoch=1, model_revision=90)), OFFER).state == "offered"
    )


def test_a_box_that_committed_and_runs_something_else_left() -> None:
    on_site = update("committed", "committed", epoch=None, model_revision=None)
    assert stand(box(OTHER, None, update=on_site), COMMITTED) == ("failed", LEFT)
    assert stand(box(OTHER, 7, update=update("committed", "committed")), COMMITTED) == ("failed", LEFT)


def test_a_box_that_left_and_came_back_runs_it_again() -> None:
    assert outcome(box(NEW, 7, update=update("committed", "committed")), COMMITTED).state == "committed"


def test_a_box_that_committed_stays_so_while_it_starts() -> None:
    assert outcome(box(None, 7, update=None), COMMITTED).state == "committed"
    assert outcome(box(NEW, 7, update=None), COMMITTED).state == "committed"


def test_fetching_other_files_of_what_runs_changes_nothing() -> None:
    for state, code in (("fetch", None), ("failed", "server_unreachable"), ("rejected", "withdrawn")):
        refit = update(state, code, models={})  # type: ignore[arg-type]
        assert outcome(box(NEW, 7, update=refit), OFFER).state == "committed"
        assert outcome(box(NEW, 7, update=refit), COMMITTED).state == "committed"


def test_somebody_on_site_who_fails_leaves_what_runs() -> None:
    on_site = update("failed", "no_space", epoch=None, model_revision=None)
    assert outcome(box(NEW, 7, update=on_site), OFFER).state == "committed"
    assert outcome(box(OLD, 6, update=on_site), OFFER).state == "offered"


@pytest.mark.parametrize(
    ("code", "state", "transient"),
    [
        ("needs_signature", "failed", False),
        ("revision_reused", "failed", False),
        ("expired", "failed", True),
        ("storage", "failed", True),
        ("stale_epoch", "superseded", False),
        ("stale_revision", "superseded", False),
    ],
)
def test_a_document_that_was_not_taken_is_an_end(code: RefusalCode, state: str, *, transient: bool) -> None:
    found = outcome(box(refused=refused(code)), OFFER)
    assert (found.state, found.code, found.transient) == (state, code, transient)


def test_another_document_that_was_not_taken_says_nothing() -> None:
    assert outcome(box(refused=refused("invalid", revision=6)), OFFER).state == "offered"
    assert outcome(box(refused=refused("too_large", None, None)), OFFER).state == "offered"


def test_an_attempt_that_is_under_way_goes_before_a_later_refusal_of_the_configuration() -> None:
    assert outcome(box(refused=refused("invalid"), update=update("fetch")), OFFER).state == "offered"


@given(
    st.sampled_from([None, OLD, NEW]),
    st.sampled_from([None, 6, 7, 8]),
    st.sampled_from([None, 1, 2]),
    st.none()
    | st.builds(
        lambda state, epoch, revision, models: update(state, epoch=epoch, model_revision=revision, models=models),
        st.sampled_from(STATES),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, 6, 7]),
        st.sampled_from([{}, WANTED]),
    ),
    st.booleans(),
)
def test_nothing_is_committed_that_does_not_run_unless_it_did_and_says_nothing_else(
    digest: str | None,
    revision: int | None,
    epoch: int | None,
    told: UpdateReport | None,
    committed: bool,
) -> None:
    found = outcome(box(digest, revision, epoch, update=told), COMMITTED if committed else OFFER)
    if found.state == "committed":
        assert digest == NEW or (committed and digest is None)
    assert not found.hard or (found.state == "failed" and not found.transient)
    assert (found.code is None) == (found.state == "offered")


@pytest.mark.parametrize(
    ("artifact", "manifest", "runs"),
    [
        (NEW, "f" * 64, True),
        (NEW, None, True),  # an older agent does not tell it
        (NEW, "e" * 64, False),  # another release of the same network, with another threshold say
        (OLD, "f" * 64, False),
        (OLD, None, False),
    ],
)
def test_a_box_runs_a_release_where_artifact_and_manifest_are_of_it(
    artifact: str, manifest: str | None, runs: bool
) -> None:
    running = RunningModel(artifact_digest=artifact, manifest=manifest)
    assert runs_release(running, (NEW,), "f" * 64) is runs


def test_a_box_that_committed_and_runs_another_release_with_the_same_artifacts_has_left() -> None:
    models = {"main": RunningModel(artifact_digest=NEW, manifest="e" * 64, name="vehicle-density", version="1.0.0")}
    device = Device(device="box-1", epoch=2, model_revision=7, models=models, update=update("committed", "committed"))
    found = outcome(device, COMMITTED)
    assert (found.state, found.code) == ("failed", "left")
    assert "vehicle-density@1.0.0" in found.reason


def test_no_slot_runs_no_release() -> None:
    assert not runs_release(None, (NEW,), "f" * 64)
