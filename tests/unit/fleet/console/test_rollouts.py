"""Rollouts in the console: shown to everyone, changed by operators only, and never over somebody else's change."""

from __future__ import annotations

import html
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.console.bars import WIDTH, bar
from fleet.console.releases import RepositoryReleases
from fleet.publishing.files import open_files
from fleet.publishing.init import keep_root
from fleet.publishing.seen import Seen
from fleet.rollout.asking import Asked
from fleet.rollout.boxes import OUT
from fleet.rollout.creating import create_rollout
from fleet.rollout.gate import Counts
from fleet.rollout.spec import RolloutSpec, parse_waves
from fleet.rollout.view import view
from fleet.store import rollout_events
from fleet.store.audit import Author
from fleet.store.rollout_events import RolloutEvent
from tests.fakes.releases import MemoryReleases, release
from tests.fakes.rollout_fleet import NEW, FakeBox, FakeFleet
from tests.unit.fleet.console.consoles import Rig
from tests.unit.fleet.repositories import Operator

FACTS = {"arch": "x86_64", "cpu.isa": ["avx2"], "runtime.onnxruntime": "1.20"}
CLASS = "x86_64-avx2"
CARS = release("cars", "2.0.0")


class Moving:
    """A fleet of fake boxes on the console's database and clock."""

    def __init__(self, console: Rig) -> None:
        self.console = console
        self.fleet = FakeFleet(console.database)
        self.fleet.now_ms = console.now_ms
        self.fleet.add("p", 20, FACTS, site="taipei")

    def start(self, **more: Any) -> int:
        usual: dict[str, Any] = {
            "model": "cars", "version": "1", "manifest": "f" * 64, "artifacts": (NEW,),
            "waves": parse_waves("1,25%,100%"), "soak_seconds": 60, "approval": False,
        }  # fmt: skip
        spec = RolloutSpec(**(usual | more))
        number, _ = create_rollout(self.fleet.database, spec, CARS, Author("ada", "cli"), self.fleet.now_ms)
        return number

    def later(self, seconds: float) -> None:
        self.fleet.later(seconds)
        self.fleet.work()
        self.console.now_ms = self.fleet.now_ms

    def state(self, number: int) -> str:
        return view(self.fleet.database, number, self.fleet.now_ms).rollout.state


@pytest.fixture
def moving(console: Rig) -> Moving:
    return Moving(console)


def test_a_program_watches_a_rollout_from_its_canary_to_its_end(console: Rig, moving: Moving) -> None:
    number = moving.start()
    reader = console.token("vera", "read")
    seen = []
    for _ in range(5):
        moving.later(1)
        found = reader.get(f"/api/v1/rollouts/{number}").json()
        (only,) = found["classes"]
        seen.append((found["state"], only["state"], only["wave"], found["committed"]))
        moving.later(61)
    assert seen[0] == ("running", "soaking", 0, 1)
    assert ("running", "soaking", 1, 5) in seen
    assert seen[-1] == ("completed", "passed", 2, 20)
    assert found["events"][0].keys() == {"at", "class", "what", "detail"}
    (listed,) = reader.get("/api/v1/rollouts").json()
    assert (listed["id"], listed["state"], listed["spec"]["model"]) == (number, "completed", "cars")
    boxes = reader.get(f"/api/v1/rollouts/{number}/boxes?state=committed&limit=7").json()
    assert (len(boxes), boxes[0]["state"]) == (7, "committed")
    assert reader.get(f"/api/v1/rollouts/{number}/boxes?state=committed&state=gone").status == 422
    assert reader.get("/api/v1/rollouts/99").status == 404
    assert reader.get("/api/v1/rollouts/99/boxes").status == 404


def test_an_action_is_for_the_revision_that_was_seen(console: Rig, moving: Moving) -> None:
    number = moving.start()
    moving.later(1)
    operator = console.token("otto", "read", "rollout")
    where = f"/api/v1/rollouts/{number}"
    paused = operator.send("POST", f"{where}/pause", {"revision": 1})
    assert (paused.status, paused.json()["state"], paused.json()["revision"]) == (200, "paused", 2)
    late = operator.send("POST", f"{where}/abort", {"revision": 1})
    assert (late.status, late.json()["error"]) == (409, "conflict")
    assert (late.json()["current"]["state"], late.json()["current"]["revision"]) == ("paused", 2)
    wrong = operator.send("POST", f"{where}/approve", {"revision": 2})
    assert (wrong.status, wrong.json()["error"], "resume" in wrong.json()["expected"]) == (409, "state", True)
    assert operator.send("POST", f"{where}/explode", {"revision": 2}).status == 422
    assert operator.send("POST", f"{where}/abort", {}).status == 422
    assert operator.send("POST", "/api/v1/rollouts/99/abort", {"revision": 1}).status == 404
    assert moving.state(number) == "paused"
    entries = operator.get(f"/api/v1/audit?subject=rollout:{number}").json()["entries"]
    assert (entries[0]["who"], entries[0]["via"], entries[0]["action"]) == ("otto", "api", "rollout.pause")


def test_neither_a_token_for_reading_nor_a_viewer_acts_and_both_are_logged(
    console: Rig, moving: Moving, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    console.console.releases = MemoryReleases(CARS)
    number = moving.start()
    for client in (console.token("otto", "read"), console.token("vera", "read", "rollout")):
        assert client.send("POST", f"/api/v1/rollouts/{number}/abort", {"revision": 1}).status == 403
        assert client.send("POST", "/api/v1/rollouts", {"release": "cars@2.0.0"}).status == 403
    viewer = console.signed_in("vera")
    page = viewer.get(f"/rollouts/{number}").text
    assert f"/rollouts/{number}/" not in page.replace(f"/rollouts/{number}/boxes", "")
    assert "New rollout" not in viewer.get("/rollouts").text
    assert viewer.post(f"/rollouts/{number}/abort", {"revision": "1"}).status == 403
    assert viewer.post("/rollouts", {"release": "cars@2.0.0", "seen": ""}).status == 403
    assert viewer.get(f"/rollouts/{number}/abort").status == 403
    assert viewer.get("/rollouts/new").status == 403
    assert caplog.text.count("vera lacks the right 'rollout'") == 2 + 4
    assert moving.state(number) == "running"


def test_an_operator_pauses_at_once_and_is_asked_before_a_release_is_taken_away(console: Rig, moving: Moving) -> None:
    number = moving.start()
    moving.later(1)
    operator = console.signed_in("otto")
    page = operator.get(f"/rollouts/{number}").text
    assert re.findall(rf'(?:action|href)="/rollouts/{number}/(\w+)"', page)[:4] == ["pause", "retry", "abort", "revert"]
    assert f'<form method="post" action="/rollouts/{number}/revert"' not in page, "it asks first"
    assert operator.post(f"/rollouts/{number}/pause", {"revision": "1"}).status == 303
    asked = operator.get(f"/rollouts/{number}/revert").text
    assert "gets back the model that it ran before" in asked
    assert 'name="revision" value="2"' in asked
    late = operator.post(f"/rollouts/{number}/revert", {"revision": "1"})
    assert (late.status, "was changed meanwhile: it is paused now" in late.text) == (409, True)
    assert 'data-refresh="3"' not in late.text
    assert moving.state(number) == "paused"
    assert operator.post(f"/rollouts/{number}/revert", {"revision": "2"}).status == 303
    moving.later(1)
    assert moving.state(number) == "reverted"
    ended = operator.get(f"/rollouts/{number}").text
    assert "1 reverted" in ended
    assert f'action="/rollouts/{number}' not in ended
    again = operator.get(f"/rollouts/{number}/revert")
    assert (again.status, "nothing can be done with it any more" in again.text) == (409, True)
    assert operator.post(f"/rollouts/{number}/pause", {"revision": "3"}).status == 409
    assert operator.post(f"/rollouts/{number}/pause", {"revision": "no"}).status == 422
    form = {"content-type": "application/x-www-form-urlencoded"}
    without = operator.ask("POST", f"/rollouts/{number}/revert", b"revision=3", form)
    assert (without.status, "session" in without.text) == (403, True)


def fails(_box: FakeBox, _attempt: int) -> str | None:
    return "rolled_back"


def test_a_halt_shows_the_gates_words_and_the_boxes_with_code_and_reason(console: Rig, moving: Moving) -> None:
    moving.fleet.behaviour = fails
    number = moving.start()
    moving.later(1)
    page = console.signed_in("otto").get(f"/rollouts/{number}").text
    assert "1 of 1 box failed, at most 1% may" in page
    assert '<i class="swatch failed"></i>1 failed' in page
    (device,) = set(re.findall(r'href="/devices/(p-\d+)"', page))
    assert "<code>fps_low</code>" in page
    assert f'href="/rollouts/{number}/resume"' in page, "who resumes accepts the failure, and is asked"
    told = console.signed_in("vera").get(f"/devices/{device}").text
    assert f'<a href="/rollouts/{number}">Rollout {number}</a>' in told
    assert "this box: failed" in told
    overview = console.signed_in("vera").get("/").text
    assert f'href="/rollouts/{number}"' in overview


def test_without_a_repository_it_is_said_how_a_rollout_is_made(console: Rig, moving: Moving) -> None:
    operator = console.token("otto", "rollout")
    answer = operator.send("POST", "/api/v1/rollouts", {"release": "cars@2.0.0"})
    assert (answer.status, "edgetally-fleet rollout create" in answer.json()["message"]) == (409, True)
    assert "edgetally-fleet rollout create" in console.signed_in("otto").get("/rollouts/new").text
    assert moving.fleet.boxes


def test_a_dry_run_plans_and_makes_nothing(console: Rig, moving: Moving) -> None:
    console.console.releases = MemoryReleases(CARS)
    operator = console.token("otto", "read", "rollout")
    asked = {"release": "cars@2.0.0", "query": "site=taipei", "waves": "1,50%,100%", "soak": "10m"}
    plan = operator.send("POST", "/api/v1/rollouts", {**asked, "dry_run": True})
    assert (plan.status, plan.json()["id"], plan.json()["boxes"]) == (200, None, 20)
    assert [len(wave["boxes"]) for wave in plan.json()["classes"][0]["waves"]] == [1, 9, 10]
    assert "bounds the failure rate" in plan.json()["classes"][0]["waves"][0]["proves"]
    assert operator.get("/api/v1/rollouts").json() == []
    made = operator.send("POST", "/api/v1/rollouts", asked)
    number = made.json()["id"]
    assert (made.status, made.header("location")) == (201, f"/api/v1/rollouts/{number}")
    found = operator.get(f"/api/v1/rollouts/{number}").json()
    assert (found["state"], found["created_by"], found["spec"]["soak_seconds"]) == ("running", "otto", 600)
    assert moving.state(number) == "running"


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"release": "cars"}, 400, "NAME@VERSION"),
        ({"release": "cars@9.0.0"}, 400, "there is no cars 9.0.0"),
        ({"waves": "5%,1"}, 400, "5%,1"),
        ({"waves": "1,100%", "risk": "1%"}, 400, "give one of them"),
        ({"risk": "100%"}, 400, "cannot be excluded"),
        ({"soak": "half an hour"}, 400, "expected a duration"),
        ({"query": "stie=taipei"}, 400, "did you mean"),
        ({"query": "site=tainan"}, 400, "no box would get it"),
        ({"halt": "everything"}, 400, "halt"),
        ({"retries": "many"}, 422, "retries"),
        ({"unknown": "1"}, 422, "unknown"),
    ],
)
def test_what_cannot_be_rolled_out_says_why(
    console: Rig, moving: Moving, more: dict[str, str], status: int, said: str
) -> None:
    console.console.releases = MemoryReleases(CARS)
    operator = console.token("otto", "read", "rollout")
    answer = operator.send("POST", "/api/v1/rollouts", {"release": "cars@2.0.0", **more})
    assert (answer.status, said in answer.json()["message"]) == (status, True), answer.text
    assert operator.get("/api/v1/rollouts").json() == []
    assert moving.fleet.boxes


def test_a_person_sees_the_plan_and_starts_that_plan_and_no_other(console: Rig, moving: Moving) -> None:
    console.console.releases = MemoryReleases(CARS)
    operator = console.signed_in("otto")
    assert "<option>cars@2.0.0</option>" in operator.get("/rollouts/new").text
    wrong = operator.get("/rollouts/new?release=cars%402.0.0&soak=soon&query=site%3Dtaipei")
    assert (wrong.status, "expected a duration" in wrong.text, 'value="soon"' in wrong.text) == (400, True, True)
    plan = operator.get("/rollouts/new?release=cars%402.0.0&risk=20%25&approval=yes").text
    assert "waves that exclude 20%" in plan
    assert "Make it, for approval" in plan
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', plan.partition('id="plan"')[2]))
    assert form.pop("csrf") == operator.csrf
    moving.fleet.add("late", 1, FACTS)
    moved = operator.post("/rollouts", form)
    assert (moved.status, "The fleet changed meanwhile" in moved.text, "to 21 boxes" in moved.text) == (409, True, True)
    (form["seen"],) = re.findall(r'name="seen" value="([^"]*)"', moved.text)
    made = operator.post("/rollouts", form)
    assert made.status == 303
    number = int((made.header("location") or "").rpartition("/")[2])
    assert moving.state(number) == "draft"
    assert operator.post(f"/rollouts/{number}/approve", {"revision": "1"}).status == 303
    assert moving.state(number) == "running"


def test_what_boxes_and_people_write_is_text_in_every_page(console: Rig, moving: Moving) -> None:
    console.console.releases = MemoryReleases(CARS)
    evil = "<script>alert(1)</script>"
    moving.fleet.add("evil", 1, FACTS, site=evil)
    number = moving.start(query=f'site="{evil}" | device=p-1')
    with console.database.writing() as connection:
        connection.exec_driver_sql("UPDATE rollout SET reason = ?", (evil,))
        connection.exec_driver_sql("UPDATE rollout_class SET reason = ?", (evil,))
        connection.exec_driver_sql("UPDATE rollout_device SET state = 'failed', code = ?, reason = ?", ("<i>", evil))
        rollout_events.add(connection, number, RolloutEvent(1, None, "opened", evil))
    operator = console.signed_in("otto")
    for path in (
        "/", "/rollouts", f"/rollouts/{number}", f"/rollouts/{number}/boxes", f"/rollouts/{number}/revert",
        "/devices/evil-0", "/rollouts/new?release=%3Cscript%3Ealert(1)%3C/script%3E&query=%22%3E%3Cscript%3Ealert(1)",
    ):  # fmt: skip
        text = operator.get(path).text
        assert "<script>alert" not in text, path
        assert "&lt;" in text or path.endswith("/revert"), path


def test_releases_are_read_from_a_signed_repository_without_a_private_key(
    tmp_path: Path, console: Rig, moving: Moving, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Operator(tmp_path)
    publisher.publish("cars", "2.0.0")
    publisher.publish("cars", "2.1.0")
    keep_root(tmp_path, publisher.root)
    files = open_files(str(tmp_path / "repository"))
    console.console.releases = RepositoryReleases(files, publisher.root, Seen(tmp_path, publisher.root))
    assert console.console.releases.names() == ["cars@2.1.0", "cars@2.0.0"]
    operator = console.token("otto", "rollout")
    plan = operator.send("POST", "/api/v1/rollouts", {"release": "cars@2.0.0", "dry_run": True})
    assert (plan.status, plan.json()["boxes"], plan.json()["spec"]["targets"]) == (200, 20, ["x86-onnxruntime"])
    other = RepositoryReleases(open_files(str(tmp_path / "nowhere")), publisher.root, Seen(tmp_path, publisher.root))
    console.console.releases = other
    away = operator.send("POST", "/api/v1/rollouts", {"release": "cars@2.0.0"})
    assert (away.status, away.json()["error"]) == (503, "repository")
    assert str(tmp_path) not in away.text
    assert "there is no repository" in caplog.text
    assert console.signed_in("otto").get("/rollouts/new").status == 503
    assert moving.fleet.boxes


@given(st.lists(st.integers(0, 10**6), min_size=10, max_size=10))
def test_a_bar_is_filled_to_its_end_and_whatever_is_there_is_seen(numbers: list[int]) -> None:
    drawn = bar(Counts(*numbers[:6]), dict(zip(OUT, numbers[6:], strict=True)))
    assert drawn.total == sum(numbers)
    assert len(drawn.pieces) == sum(n > 0 for n in numbers)
    at = 0.0
    for piece in drawn.pieces:
        assert piece.x == pytest.approx(at, abs=1)
        assert piece.width >= 5
        at += piece.width
    assert not drawn.pieces or at == pytest.approx(WIDTH, abs=1)


def test_the_api_page_shows_what_a_rollout_is_asked_with(console: Rig) -> None:
    described = console.token("vera", "read").get("/api/v1/openapi.json").json()
    example = described["components"]["schemas"]["NewRollout"]["example"]
    assert Asked.model_validate(example).release == "vehicle-density@1.1.0"
    text = html.unescape(console.signed_in("vera").get("/api").text)
    assert json.dumps(example) in text
    assert {"/api/v1/rollouts/{number}/{action}", "/api/v1/layers/{layer}/preview"} <= described["paths"].keys()
