"""What must never happen is found out, and what a bad model did is counted."""

from __future__ import annotations

from tools.fleet_sim.scenario import Fate
from tools.fleet_sim.truth import BoxTruth, harm, problems


def box(device: str = "box-1", fate: Fate = "good") -> BoxTruth:
    return BoxTruth(device, "a", fate, running="old", online=True)


def document(version: str) -> dict[str, object]:
    return {"config": {}, "models": {"main": version}, "issued": "whenever"}


def test_the_same_document_again_is_no_problem() -> None:
    one = box()
    one.got((1, 1, 1), document("2"))
    one.got((1, 1, 1), document("2") | {"issued": "later"})
    one.got((1, 1, 2), document("3"))
    assert problems([one]) == []


def test_two_documents_under_one_revision_are_found() -> None:
    one = box()
    one.got((1, 1, 1), document("2"))
    one.got((1, 1, 1), document("3"))
    assert problems([one]) == ["box-1: two documents under (1, 1, 1): other models"]


def test_a_revision_used_twice_is_found_though_the_other_one_rose() -> None:
    one = box()
    one.got((1, 1, 1), {"config": {"window_seconds": 5}, "models": {}})
    one.got((1, 1, 2), {"config": {"window_seconds": 6}, "models": {"main": "2"}})
    assert problems([one]) == ["box-1: two documents under (1, 1, 2): other config"]


def test_revisions_that_fall_are_found_within_an_epoch_only() -> None:
    one = box()
    one.got((1, 2, 3), document("2"))
    one.got((1, 3, 2), document("1"))
    one.got((2, 1, 1), document("1"))
    assert problems([one]) == ["box-1: (1, 3, 2) came after (1, 2, 3)"]


def test_a_box_that_runs_something_else_than_it_should_is_found_unless_that_was_tried_in_vain_or_it_is_away() -> None:
    one = box(fate="fails")
    one.wanted, one.wanted_by, one.end, one.ended_for = "new", (1, 2), "committed", (1, 2)
    found = ["box-1: runs old, its document asks for new, it ended committed"]
    assert problems([one]) == found
    one.away = True
    assert problems([one]) == []
    one.away, one.end = False, "rolled_back"
    assert problems([one]) == []
    one.ended_for = (1, 1)  # an earlier document was tried in vain, and this one not at all
    assert problems([one]) == ["box-1: runs old, its document asks for new, it ended rolled_back"]


def test_a_box_that_nothing_cut_off_and_that_is_not_there_is_lost() -> None:
    one = box()
    one.online = False
    assert problems([one]) == ["box-1: it is lost, though nothing cut it off"]
    one.away = True
    assert problems([one]) == []


def test_a_box_that_goes_back_without_a_reason_is_found() -> None:
    one = box()
    one.end = "rolled_back"
    assert problems([one]) == ["box-1: it ended rolled_back, though the model does it no harm"]


def test_harm_is_counted_until_the_halt_and_after_it() -> None:
    good, early, late, spared = box("1"), box("2", "fails"), box("3", "silent"), box("4", "fails")
    good.activated(5, harms=False)
    early.activated(10, harms=True)
    early.activated(40, harms=True)
    late.activated(30, harms=True)
    found = harm([good, early, late, spared], until_ms=20)
    assert (found.exposed, found.harmed, found.harmed_before, found.first_ms) == (3, 2, 1, 10)
    assert harm([good], None).first_ms is None
