"""The page in a real browser, with a real mouse and finger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.health import ModelHealth
from tests.fakes.page import LINE, ZONE, FakeAgent
from tests.integration.browser import Browser, Tab
from tests.integration.pages import Visitor, page_of

PHONE = (390, 844)
CAMERA = "#/camera/north"
PICTURES = "document.querySelector('.view img') && [...document.querySelectorAll('.view img')].every((i) => !i.hidden)"
SAVE = "document.querySelector('button.main')"
DONE = "document.querySelector('.done').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def fake() -> FakeAgent:
    agent = FakeAgent()
    agent.frame = 60
    return agent


@pytest.fixture
def page(fake: FakeAgent) -> Iterator[Visitor]:
    with page_of(fake) as visitor:
        yield visitor


def knob(name: str) -> str:
    return f"document.querySelector('[data-knob=\"{name}\"] .dot')"


def button(text: str) -> str:
    return f"[...document.querySelectorAll('button')].find((b) => b.textContent === '{text}' && !b.disabled)"


def at(tab: Tab, x: float, y: float) -> tuple[float, float]:
    """A point of the picture, 0 to 1, in pixels of the window."""
    left, top, width, height = tab.evaluate(
        "(() => { const b = document.querySelector('.drawing').getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height]; })()"
    )
    return left + x * width, top + y * height


def card(camera: str) -> str:
    return f"document.querySelector('[data-camera={camera}]')"


def test_the_overview_shows_pictures_and_counts_that_change(browser: Browser, page: Visitor, fake: FakeAgent) -> None:
    with browser.open(page.url) as tab:
        tab.wait(PICTURES)
        tab.wait(f"{card('north')}.querySelector('.count').textContent === '3'")
        fake.show("north", 8.0, total_in=6)
        tab.wait(f"{card('north')}.querySelector('.count').textContent === '8'")
        tab.wait(f"{card('north')}.innerText.includes('6 in · 0 out')")
        fake.show("north", None, "no_camera")
        tab.wait(f"{card('north')}.querySelector('.count').textContent === '\\u2013'")
        tab.wait(f"{card('north')}.innerText.includes('no camera')")
        assert tab.complaints() == []


def test_a_line_that_is_dragged_with_the_mouse_is_proposed_where_it_was_let_go(
    browser: Browser, page: Visitor, fake: FakeAgent
) -> None:
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.wait(PICTURES)
        tab.wait(knob("line-0-0"))
        tab.drag(tab.middle(knob("line-0-0")), at(tab, 0.25, 0.75))
        tab.click(SAVE)
        tab.wait(DONE)
        assert tab.complaints() == []
    (proposal,) = fake.proposals
    assert proposal.line[0].start == pytest.approx((0.25, 0.75), abs=0.003)
    assert (proposal.line[0].end, proposal.line[0].name, proposal.line[0].labels) == (LINE.end, LINE.name, LINE.labels)
    assert proposal.zone == (ZONE,)


def test_a_point_that_is_pulled_out_of_the_picture_stays_at_its_edge(
    browser: Browser, page: Visitor, fake: FakeAgent
) -> None:
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.wait(knob("line-0-1"))
        tab.drag(tab.middle(knob("line-0-1")), at(tab, 1.3, 0.6))
        tab.click(SAVE)
        tab.wait(DONE)
    assert fake.proposals[0].line[0].end == pytest.approx((1.0, 0.6), abs=0.003)


def test_lines_and_zones_are_added_named_turned_and_deleted(browser: Browser, page: Visitor, fake: FakeAgent) -> None:
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.click(knob("line-0-0"))
        tab.click(button("Turn direction"))
        tab.click(button("Add line"))
        tab.click("document.querySelector('input[name=name]')")
        tab.evaluate("document.querySelector('input[name=name]').select()")
        tab.write("exit")
        tab.click(knob("zone-0-0"))
        tab.click(button("Delete corner"))
        tab.drag(tab.middle("document.querySelector('.middle .dot')"), at(tab, 0.9, 0.3))
        tab.click(button("Add zone"))
        tab.click(button("Delete zone"))
        tab.click(SAVE)
        tab.wait(DONE)
        assert tab.complaints() == []
    (proposal,) = fake.proposals
    assert (proposal.line[0].start, proposal.line[0].end) == (LINE.end, LINE.start)
    assert proposal.line[1].name == "exit"
    (zone,) = proposal.zone
    assert len(zone.polygon) == 4
    assert any(point == pytest.approx((0.9, 0.3), abs=0.003) for point in zone.polygon)


def test_the_arrow_points_to_where_in_is(browser: Browser, page: Visitor, fake: FakeAgent) -> None:
    """From the line's left to its right: down for one that runs to the right, to the left for one that runs down."""
    down = LINE.model_copy(update={"name": "down", "start": (0.5, 0.2), "end": (0.5, 0.8)})
    north = fake.state.watched[0].model_copy(update={"line": (LINE, down)})
    fake.state = fake.state.model_copy(update={"watched": (north,)})
    arrow = "document.querySelectorAll('.arrow')"
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.wait(knob("line-1-0"))
        across, along = tab.middle(knob("line-0-0"))[1], tab.middle(knob("line-1-0"))[0]
        assert tab.middle(f"{arrow}[0]")[1] > across + 5
        assert tab.middle(f"{arrow}[1]")[0] < along - 5
        tab.click(knob("line-0-0"))
        tab.click(button("Turn direction"))
        assert tab.middle(f"{arrow}[0]")[1] < tab.middle(knob("line-0-0"))[1] - 5


def test_a_zone_that_is_pushed_against_the_edge_keeps_its_shape(
    browser: Browser, page: Visitor, fake: FakeAgent
) -> None:
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.wait(knob("zone-0-0"))
        tab.wait(PICTURES)
        tab.drag(at(tab, 0.5, 0.4), at(tab, 0.95, 0.4))
        tab.click(SAVE)
        tab.wait(DONE)
    moved = [number for corner in fake.proposals[0].zone[0].polygon for number in corner]
    assert moved == pytest.approx([0.5, 0.2, 0.9, 0.2, 1.0, 0.5, 0.4, 0.5], abs=0.003)


def test_what_is_wrong_with_a_change_is_shown_and_the_change_is_kept(
    browser: Browser, page: Visitor, fake: FakeAgent
) -> None:
    fake.problems = ["line 'gate': <b>an operator</b> rules it"]
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.wait(knob("line-0-0"))
        tab.drag(tab.middle(knob("line-0-0")), at(tab, 0.25, 0.75))
        tab.click(SAVE)
        tab.wait("document.querySelector('.edit .problem').innerText.includes('<b>an operator</b> rules it')")
        assert not tab.evaluate(f"{SAVE}.disabled")
        tab.click(button("Undo"))
        tab.wait(f"{SAVE}.disabled")


def test_it_works_on_a_phone_with_a_finger(browser: Browser, page: Visitor, fake: FakeAgent) -> None:
    with browser.open(page.url, *PHONE, dark=True) as tab:
        for place, is_there in (
            ("#/health", "document.querySelector('table')"),
            ("#/artifact", "document.body.innerText.includes('needs TensorRT')"),
            ("#/logs", "document.querySelector('.log')"),
            ("#/", PICTURES),
            (CAMERA, knob("line-0-0")),
        ):
            tab.evaluate(f"location.hash = '{place}'")
            tab.wait(is_there)
            assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE[0], place
        tab.wait(PICTURES)
        tab.touch_drag(tab.middle(knob("line-0-0")), at(tab, 0.3, 0.8))
        tab.click(SAVE)
        tab.wait(DONE)
        assert tab.complaints() == []
    assert fake.proposals[0].line[0].start == pytest.approx((0.3, 0.8), abs=0.01)


def test_an_arrow_key_moves_the_knob_that_is_chosen(browser: Browser, page: Visitor, fake: FakeAgent) -> None:
    with browser.open(page.url + "/" + CAMERA) as tab:
        tab.wait(knob("line-0-0"))
        tab.evaluate("document.querySelector('[data-knob=\"line-0-0\"]').focus()")
        for _ in range(2):
            tab.press("ArrowRight")
        tab.click(SAVE)
        tab.wait(DONE)
    assert fake.proposals[0].line[0].start == pytest.approx((LINE.start[0] + 0.01, LINE.start[1]))


def test_with_a_password_the_page_asks_for_it(browser: Browser, fake: FakeAgent) -> None:
    with page_of(fake, password="correct horse") as page, browser.open(page.url) as tab:
        tab.click("document.querySelector('input[type=password]')")
        tab.write("wrong horse")
        tab.click(button("Sign in"))
        tab.wait("document.body.innerText.includes('the password is wrong')")
        tab.evaluate("document.querySelector('input').value = ''")
        tab.click("document.querySelector('input[type=password]')")
        tab.write("correct horse")
        tab.click(button("Sign in"))
        tab.wait(PICTURES)
        assert tab.evaluate("document.cookie") == ""  # no script can read it
        tab.click(button("Sign out"))
        tab.wait("document.querySelector('input[type=password]')")


def test_what_came_from_outside_is_text(browser: Browser, fake: FakeAgent) -> None:
    evil = '<img src=x onerror="document.title=1">'
    health = fake.state.health.cameras["north"].model_copy(update={"problem": evil})
    cameras = {**fake.state.health.cameras, "north": health}
    whole = fake.state.health.model_copy(update={"cameras": cameras, "models": {"main": ModelHealth(artifact=evil)}})
    fake.state = fake.state.model_copy(update={"health": whole})
    with page_of(fake) as page, browser.open(page.url) as tab:
        tab.wait(f"{card('north')}.innerText.includes('<img src=x')")
        tab.evaluate("location.hash = '#/artifact'")
        tab.wait("document.body.innerText.includes('<img src=x')")
        assert tab.complaints() == []


def test_a_page_that_the_box_left_says_so(browser: Browser, fake: FakeAgent) -> None:
    with page_of(fake) as page:
        tab = browser.open(page.url)
        tab.wait(PICTURES)
    with tab:
        tab.wait("!document.getElementById('notice').hidden")
        assert "old" in tab.evaluate("document.getElementById('main').className")
