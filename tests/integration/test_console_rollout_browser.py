"""Rollouts and layers in a real browser, over a console of its own and boxes that answer as real ones do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.configuration.layers import FLEET, Layer
from fleet.publishing.init import keep_root
from fleet.rollout.creating import create_rollout
from fleet.rollout.spec import RolloutSpec, parse_waves
from fleet.rollout.view import view
from fleet.store.audit import Author
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.layers import LayerStore
from tests.fakes.releases import release
from tests.fakes.rollout_fleet import NEW, FakeBox, FakeFleet
from tests.integration.browser import Browser, Tab
from tests.integration.consoles import Running, add_users, console
from tests.integration.test_console_browser import sign_in
from tests.unit.fleet.repositories import Operator

PHONE = (390, 844)
FACTS = {"arch": "x86_64", "cpu.isa": ["avx2"], "runtime.onnxruntime": "1.20"}
EVIL = "<img src=x onerror=alert(1)>"
ADA = Author("ada", "cli")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@dataclass
class Rig:
    """A console with its database, a repository and boxes that answer once `later` is called."""

    running: Running
    database: Database
    fleet: FakeFleet

    @property
    def url(self) -> str:
        return self.running.url

    def start(self) -> int:
        spec = RolloutSpec(
            model="cars",
            version="1",
            manifest="f" * 64,
            artifacts=(NEW,),
            waves=parse_waves("1,25%,100%"),
            soak_seconds=60,
            approval=False,
        )
        number, _ = create_rollout(self.database, spec, release("cars", "2.0.0"), ADA, self.fleet.now_ms)
        self.fleet.work()
        return number

    def later(self, seconds: float = 61) -> None:
        self.fleet.later(seconds)
        self.fleet.work()

    def state(self, number: int) -> str:
        return view(self.database, number, self.fleet.now_ms).rollout.state

    @property
    def layers(self) -> LayerStore:
        devices = DeviceStore(self.database)
        return LayerStore(self.database, lambda: (each.device for each in devices.all()))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    address = str(tmp_path / "fleet.db")
    database = Database(address)
    add_users(database, otto="operator", vera="viewer")
    publisher = Operator(tmp_path)
    publisher.publish("cars", "2.0.0")
    keep_root(publisher.keys, publisher.root)
    fleet = FakeFleet(database)
    fleet.now_ms = time.time_ns() // 1_000_000 - 3_600_000
    fleet.add("p", 20, FACTS, site="taipei", note=EVIL)
    options = ("--repository", str(tmp_path / "repository"), "--keys", str(publisher.keys))
    with console(tmp_path, address, *options) as running:
        yield Rig(running, database, fleet)
    database.close()


def button(text: str) -> str:
    return f"[...document.querySelectorAll('button, a.button')].find((b) => b.textContent.trim() === '{text}')"


def go(tab: Tab, rig: Rig, path: str) -> None:
    tab.call("Page.navigate", url=rig.url + path)
    tab.wait(f"location.pathname === '{path.partition('?')[0]}' && document.readyState === 'complete'")


def state_is(text: str) -> str:
    return f"document.getElementById('state').textContent === '{text}'"


def fill(tab: Tab, field: str, text: str) -> None:
    tab.click(f"document.querySelector('[name={field}]')")
    tab.evaluate(f"document.querySelector('[name={field}]').select()")
    tab.write(text)


def test_an_operator_watches_a_rollout_move_pauses_resumes_and_reverts_it(browser: Browser, rig: Rig) -> None:
    number = rig.start()
    with browser.open(f"{rig.url}/rollouts/{number}") as tab:
        sign_in(tab, "otto")
        tab.wait("document.querySelector('[data-kind=committed]').textContent === '1 committed'")
        tab.evaluate("window.same = true")
        rig.later()
        tab.wait("document.querySelector('[data-kind=committed]').textContent === '5 committed'")
        assert tab.evaluate("window.same"), "it moves without being loaded again"
        assert tab.evaluate("document.querySelector('tr[aria-current]').innerText").startswith("2")
        tab.click(button("Pause"))
        tab.wait(state_is("paused"))
        rig.later()
        rig.later()
        assert view(rig.database, number, rig.fleet.now_ms).committed == 5
        tab.click(button("Resume"))
        tab.wait(state_is("running"))
        rig.later()
        rig.later()
        tab.wait("document.querySelector('[data-kind=committed]').textContent === '20 committed'")
        tab.click(button("Revert…"))
        tab.wait("document.body.innerText.includes('gets back the model that it ran before')")
        tab.click(button("Revert it"))
        tab.wait(state_is("reverting"))
        rig.fleet.work()
        tab.wait(state_is("reverted"))
        tab.wait("document.querySelector('[data-kind=reverted]').textContent === '20 reverted'")
        assert tab.evaluate(f"({button('Revert…')}) === undefined")
        assert tab.complaints() == []
    assert {box.artifact for box in rig.fleet.boxes.values()} == {"a" * 64}


def test_a_rollout_is_planned_and_started_by_mouse(browser: Browser, rig: Rig) -> None:
    with browser.open(f"{rig.url}/rollouts") as tab:
        sign_in(tab, "otto")
        tab.click(button("New rollout"))
        tab.wait("document.querySelector('[name=release]')")
        tab.evaluate("document.querySelector('[name=release]').value = 'cars@2.0.0'")
        fill(tab, "query", "site=taipei")
        fill(tab, "waves", "1,50%,100%")
        tab.click(button("Show the plan"))
        tab.wait("document.querySelector('#plan h2').textContent.includes('to 20 boxes')")
        tab.wait("document.querySelector('#plan').innerText.includes('bounds the failure rate')")
        tab.click(button("Start it on 20 boxes"))
        tab.wait("/^[/]rollouts[/][0-9]+$/.test(location.pathname)")
        tab.wait(state_is("running"))
        assert tab.complaints() == []


def test_two_operators_do_not_overwrite_each_other(browser: Browser, rig: Rig) -> None:
    number = rig.start()
    with browser.open(f"{rig.url}/rollouts/{number}") as one, browser.open(f"{rig.url}/rollouts/{number}") as two:
        sign_in(one, "otto")
        sign_in(two, "otto")
        one.click(button("Abort…"))
        one.wait("document.body.innerText.includes('It ends')")
        two.click(button("Pause"))
        two.wait(state_is("paused"))
        one.click(button("Abort it"))
        one.wait("document.querySelector('#conflict').innerText.includes('it is paused now, revision 2')")
    assert rig.state(number) == "paused"


def test_a_viewer_sees_no_buttons_and_what_they_forge_is_refused_and_logged(browser: Browser, rig: Rig) -> None:
    number = rig.start()
    with browser.open(f"{rig.url}/rollouts/{number}") as tab, rig.running.logs("vera lacks the right 'rollout'"):
        sign_in(tab, "vera")
        tab.wait(state_is("running"))
        assert tab.evaluate("document.querySelectorAll('main button, main a.button').length") == 0
        sent = (
            f"fetch('/rollouts/{number}/abort', {{method: 'POST', body: new URLSearchParams({{revision: '1', "
            "csrf: document.querySelector('[name=csrf]').value})}).then((answer) => answer.status)"
        )
        assert tab.evaluate(sent) == 403
    assert rig.state(number) == "running"


def test_a_layer_is_edited_with_a_preview_and_a_conflict_shows_both(browser: Browser, rig: Rig) -> None:
    first = rig.layers.set(Layer(FLEET, {"broker": {"host": "first.example"}}), 0, ADA, 1)
    with browser.open(f"{rig.url}/layers/fleet") as tab:
        sign_in(tab, "otto")
        tab.click(button("Edit"))
        tab.wait("document.querySelector('textarea')")
        fill(tab, "body", '[broker]\nhost = "mine.example"\n')
        tab.click(button("Preview"))
        tab.wait("document.querySelector('#preview').innerText.includes('This changes 20 of 20 boxes')")
        tab.wait("document.querySelector('.affected .after').textContent === '\"mine.example\"'")
        second = rig.layers.set(Layer(FLEET, {"broker": {"host": "theirs.example"}}), first.revision, ADA, 2)
        tab.click(button("Apply it"))
        tab.wait("document.querySelector('#current').innerText.includes('theirs.example')")
        assert "mine.example" in tab.evaluate("document.querySelector('textarea').value")
        assert rig.layers.all() == [second]
        tab.click(button("Preview"))
        tab.wait("document.querySelector('.affected .before').textContent === '\"theirs.example\"'")
        tab.click(button("Apply it"))
        tab.wait("location.pathname === '/layers/fleet' && document.body.innerText.includes('revision 3')")
        assert [text for text in tab.complaints() if "409" not in text] == []


def refuses(_box: FakeBox, _attempt: int) -> str | None:
    return "rolled_back"


def test_what_boxes_and_people_write_never_runs(browser: Browser, rig: Rig) -> None:
    rig.layers.set(Layer(FLEET, {"labels": {"zone": EVIL}}), 0, Author(EVIL[:60], "cli"), 1)
    rig.fleet.behaviour = refuses
    number = rig.start()
    with rig.database.writing() as connection:
        connection.exec_driver_sql("UPDATE rollout SET reason = ?", (EVIL,))
        connection.exec_driver_sql("UPDATE rollout_class SET reason = ?", (EVIL,))
        connection.exec_driver_sql(
            "UPDATE rollout_device SET code = ?, reason = ? WHERE state = 'failed'", ("<b>", EVIL)
        )
    with browser.open(f"{rig.url}/rollouts/{number}") as tab:
        sign_in(tab, "otto")
        for path in (
            f"/rollouts/{number}", f"/rollouts/{number}/boxes", f"/rollouts/{number}/revert", "/rollouts", "/",
            "/layers", "/layers/fleet", "/layers/edit?layer=fleet", "/layers/remove?layer=fleet", "/devices/p-1",
        ):  # fmt: skip
            go(tab, rig, path)
            assert tab.evaluate("document.querySelectorAll('main img, main b b, main script').length") == 0, path
        assert tab.complaints() == []


def test_a_phone_shows_rollouts_and_layers_within_its_width_light_and_dark(browser: Browser, rig: Rig) -> None:
    number = rig.start()
    rig.layers.set(Layer(FLEET, {"broker": {"host": "b" * 200}}), 0, ADA, 1)
    for dark in (False, True):
        with browser.open(f"{rig.url}/login", *PHONE, dark=dark) as tab:
            sign_in(tab, "otto")
            for path in (
                "/", "/rollouts", f"/rollouts/{number}", f"/rollouts/{number}/boxes", f"/rollouts/{number}/abort",
                "/rollouts/new?release=cars%402.0.0", "/layers", "/layers/fleet", "/layers/edit?layer=fleet",
                "/layers/remove?layer=fleet", "/devices/p-1",
            ):  # fmt: skip
                go(tab, rig, path)
                assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            assert tab.complaints() == []
