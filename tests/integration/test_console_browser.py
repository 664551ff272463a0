"""The console in a real browser, over a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert

from fleet.ingest import Arrived, Ingest
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.tables import CAMERA_COUNT
from fleet.store.users import UserStore
from tests.fakes.fleet import Published, facts, hello, status
from tests.fakes.inventory import MemoryCounts
from tests.integration.browser import Browser, Tab
from tests.integration.consoles import AUTHOR, PASSWORD, Program, Running, add_users, console

PHONE = (390, 844)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@dataclass
class Fleet:
    """A console with its database."""

    running: Running
    database: Database

    @property
    def url(self) -> str:
        return self.running.url

    def tell(self, *messages: Published) -> None:
        now = time.time_ns() // 1_000_000
        Ingest(DeviceStore(self.database), MemoryCounts()).take([Arrived(*message, False, now) for message in messages])


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    address = str(tmp_path / "fleet.db")
    database = Database(address)
    add_users(database, ada="admin", vera="viewer")
    with console(tmp_path, address) as running:
        made = Fleet(running, database)
        for name in ("box-1", "box-2"):
            made.tell(hello(name), status("online", name), facts(name, labels={"site": "taipei"}))
        yield made
    database.close()


def sign_in(tab: Tab, name: str) -> None:
    tab.wait("document.readyState === 'complete' && document.querySelector('form.sign-in')")
    for field, text in {"name": name, "password": PASSWORD}.items():
        tab.click(f"document.querySelector('input[name={field}]')")
        tab.wait(f"document.activeElement.name === '{field}'")
        tab.write(text)
    tab.click("document.querySelector('form.sign-in button')")
    tab.wait(f"document.querySelector('.who a').textContent === '{name}'")


def link(text: str) -> str:
    return f"[...document.querySelectorAll('a')].find((a) => a.textContent.trim() === '{text}')"


def test_from_signing_in_to_a_box_by_mouse(browser: Browser, fleet: Fleet) -> None:
    with browser.open(fleet.url) as tab:
        sign_in(tab, "vera")
        tab.wait("document.querySelectorAll('.grid rect.ok').length === 2")
        tab.click("document.querySelector('.grid rect.ok')")
        tab.wait("location.pathname === '/devices/box-1'")
        tab.click(link("Devices"))
        tab.wait("document.querySelectorAll('tbody tr').length === 2")
        tab.click("document.querySelector('input[name=query]')")
        tab.write("device=box-2")
        tab.click("document.querySelector('form.search button')")
        tab.wait("document.querySelectorAll('tbody tr').length === 1")
        tab.click("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Sign out')")
        tab.wait("location.pathname === '/login'")
        tab.call("Page.navigate", url=f"{fleet.url}/devices")
        tab.wait("location.pathname === '/login'")
        assert tab.complaints() == []


def test_what_happens_is_shown_without_loading_the_page_again(browser: Browser, fleet: Fleet) -> None:
    with browser.open(fleet.url) as tab:
        sign_in(tab, "vera")
        tab.wait("document.querySelectorAll('.grid rect.ok').length === 2")
        tab.evaluate("window.same = true")
        fleet.tell(status("offline", "box-1"), hello("box-3"), status("online", "box-3"))
        tab.wait("document.querySelector('.grid rect.offline') && document.querySelectorAll('.grid rect').length === 3")
        assert tab.evaluate("window.same")
        UserStore(fleet.database).change("vera", AUTHOR, 1, disabled=True)
        tab.wait("document.getElementById('notice').textContent.includes('signed out')")
        refused = [text for text in tab.complaints() if "401" not in text]
        assert refused == []


def test_a_table_that_was_opened_stays_open_when_the_page_is_refreshed(browser: Browser, fleet: Fleet) -> None:
    now = time.time_ns() // 1_000_000
    row = {"device": "box-1", "camera": "gate", "observed_seconds": 300.0, "crossings_in": 3, "crossings_out": 1}
    with fleet.database.writing() as connection:
        times = [now // 300_000 * 300_000 - n * 900_000 for n in range(1, 9)]
        connection.execute(insert(CAMERA_COUNT), [row | {"start_ms": at, "level_seconds": 900.0} for at in times])
    with browser.open(f"{fleet.url}/devices/box-1") as tab:
        sign_in(tab, "vera")
        tab.wait("document.querySelector('.chart .line')")
        tab.click("document.querySelector('#table-gate summary')")
        tab.wait("document.querySelector('#table-gate').open")
        fleet.tell(status("offline", "box-1", reason="power"))
        tab.wait("document.querySelector('#now .chip.offline')")
        assert tab.evaluate("document.querySelector('#table-gate').open")
        assert "3.00" in tab.evaluate("document.querySelector('#table-gate').innerText")
        assert tab.complaints() == []


def test_a_viewer_whom_an_admin_disables_is_out_at_once_and_the_audit_log_says_so(
    browser: Browser, fleet: Fleet
) -> None:
    with browser.open(fleet.url) as viewer, browser.open(f"{fleet.url}/users") as admin:
        sign_in(viewer, "vera")
        sign_in(admin, "ada")
        assert viewer.evaluate(f"({link('Users')}) === undefined"), "a viewer is not shown what they may not do"
        row = "[...document.querySelectorAll('tr')].find((r) => r.innerText.includes('vera'))"
        admin.click(f"({row}).querySelector('button.danger')")
        admin.wait(f"({row}).innerText.includes('disabled')")
        viewer.call("Page.navigate", url=f"{fleet.url}/devices")
        viewer.wait("location.pathname === '/login'")
        admin.click(link("Audit log"))
        admin.wait(
            "document.querySelector('.entries li').innerText.includes('vera was viewer and is viewer, disabled')"
        )
        assert admin.complaints() == []


def test_a_viewer_who_sends_an_admins_form_is_refused_and_logged(browser: Browser, fleet: Fleet) -> None:
    with browser.open(fleet.url) as tab, fleet.running.logs("vera lacks the right 'admin'"):
        sign_in(tab, "vera")
        sent = (
            "fetch('/users/ada', {method: 'POST', body: new URLSearchParams({disabled: 'yes', "
            "csrf: document.querySelector('[name=csrf]').value})}).then((answer) => answer.status)"
        )
        assert tab.evaluate(sent) == 403
    assert not [user for user in UserStore(fleet.database).all() if user.disabled]


def test_a_form_on_another_site_changes_nothing(browser: Browser, fleet: Fleet) -> None:
    """The other site is another port: the same host to cookies, so that SameSite does not help."""
    with browser.open(f"{fleet.url}/users") as tab:
        sign_in(tab, "ada")
        form = f"<form method=post action={fleet.url}/users/vera><input name=disabled value=yes><button>"
        tab.call("Page.navigate", url=f"data:text/html,{form}")
        with fleet.running.logs("is refused: a"):
            tab.click("document.querySelector('button')")
            tab.wait("document.body.innerText.includes('cross_site')")
    assert not [user for user in UserStore(fleet.database).all() if user.disabled]


def test_a_forged_session_and_a_change_without_its_token_are_refused_and_logged(fleet: Fleet) -> None:
    program = Program(fleet.url)
    with fleet.running.logs("a session from 127.0.0.1 is refused: unknown"):
        program.cookies = {"edgetally_fleet": "A" * 43}
        assert program.ask("GET", "/api/v1/devices")[0] == 401
    program.cookies = {}
    assert program.ask("POST", "/login", {"name": "ada", "password": PASSWORD})[0] == 303
    with fleet.running.logs("a change in the name of ada lacks the session's own token"):
        assert program.ask("POST", "/users/vera", {"disabled": "yes"})[0] == 403
    assert program.ask("POST", "/users/vera", {"disabled": "yes", "csrf": program.csrf()})[0] == 303
    assert not fleet.running.logged(PASSWORD)
    assert not fleet.running.logged(program.cookies["edgetally_fleet"])


def test_a_phone_shows_everything_within_its_width_light_and_dark(browser: Browser, fleet: Fleet) -> None:
    for dark in (False, True):
        with browser.open(f"{fleet.url}/login", *PHONE, dark=dark) as tab:
            sign_in(tab, "ada")
            for path in ("/", "/devices", "/devices/box-1", "/audit", "/users", "/api", "/account"):
                tab.call("Page.navigate", url=fleet.url + path)
                tab.wait(f"location.pathname === '{path}' && document.readyState === 'complete'")
                assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) < 150) is dark
            assert tab.complaints() == []


def test_it_is_used_by_keyboard_alone(browser: Browser, fleet: Fleet) -> None:
    with browser.open(fleet.url) as tab:
        tab.wait("document.activeElement.name === 'name'")
        tab.write("vera")
        tab.press("Tab")
        tab.write(PASSWORD)
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        tab.call("Input.dispatchKeyEvent", type="keyDown", **enter)
        tab.wait("document.querySelector('.who a').textContent === 'vera'")
        tab.press("Tab")
        tab.wait("document.activeElement.className === 'skip'")
        assert tab.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
