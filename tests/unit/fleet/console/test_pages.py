"""What pages and API show; all of it comes from boxes that may be hostile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from sqlalchemy import insert

from fleet.store.audit import AuditEntry, Author, record
from fleet.store.tables import CAMERA_COUNT
from tests.fakes.fleet import facts, health, hello, reported, status
from tests.unit.fleet.console.consoles import START_MS, Client, Rig

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"
HOUR_MS = 3_600_000


@pytest.fixture
def viewer(console: Rig) -> Client:
    console.tell(
        hello("box-1"), status("online", "box-1"), facts("box-1", labels={"site": "taipei"}),
        hello("box-2"), status("offline", "box-2"), facts("box-2", labels={"site": "hsinchu"}),
        hello("cam-3"), status("online", "cam-3"), health("cam-3", warnings=["look"]),
    )  # fmt: skip
    return console.signed_in("vera")


def count(console: Rig, camera: str, start_ms: int, level: float, observed: float = 300.0) -> None:
    values = {
        "device": "box-1", "camera": camera, "start_ms": start_ms, "observed_seconds": observed,
        "level_seconds": level * observed, "crossings_in": 2, "crossings_out": 1,
    }  # fmt: skip
    with console.database.writing() as connection:
        connection.execute(insert(CAMERA_COUNT).values(values))


class Tags(HTMLParser):
    """The tags and attributes of a page, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def hostile(self) -> Iterator[str]:
        for tag, attributes in self.found:
            if tag == "img" or (tag == "script" and attributes.get("src") != "/static/refresh.js"):
                yield tag
            yield from (name for name in attributes if name.startswith("on") or name == "style")


def test_what_boxes_and_people_wrote_is_shown_and_never_obeyed(console: Rig) -> None:
    console.tell(
        hello("box-1", version=HOSTILE),
        status("offline", "box-1", reason=HOSTILE),
        facts("box-1", labels={"site": HOSTILE}, facts={"arch": HOSTILE}),
        health("box-1", warnings=[HOSTILE], problems=[HOSTILE]),
        reported(
            "box-1", code=HOSTILE, reason=HOSTILE,
            update={"attempt": 1, "state": "fetch", "reason": HOSTILE, "progress": {"text": HOSTILE}},
        ),
    )  # fmt: skip
    entry = AuditEntry(START_MS, Author(HOSTILE[:64], "cli"), "config.set", HOSTILE, HOSTILE, f"+{HOSTILE}\n-x")
    with console.database.writing() as connection:
        record(connection, entry)
    client = console.signed_in("ada")
    query = "%3Cscript%3Ealert(1)%3C/script%3E%22%3E%3Cimg%20src=x%3E"
    paths = ["/", f"/?query={query}", f"/devices?query={query}", "/devices", "/devices/box-1", f"/devices/{query}"]
    paths += ["/audit", f"/audit?subject={query}", f"/{query}", f"/login?next=/{query}", f"/devices?after={query}"]
    for path in paths:
        text = client.get(path).text
        assert list(Tags(text).hostile) == [], path
        assert ">49<" not in text
    shown = client.get("/devices/box-1").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_the_overview_counts_by_state_class_and_version(console: Rig, viewer: Client) -> None:
    found = viewer.get("/api/v1/overview").json()
    assert found["total"] == 3
    assert found["states"] == {"never": 0, "offline": 1, "failed": 0, "updating": 0, "warning": 1, "ok": 1}
    assert [(one["hardware_class"], one["total"]) for one in found["classes"]] == [("unknown", 1), ("x86_64-sse", 2)]
    assert found["versions"] == {"1.0.0": 3}
    page = viewer.get("/").text
    assert re.search(r"<b>3</b> boxes", page)
    assert re.search(r'href="/devices/box-2"[^>]*><rect class="offline"', page)


def test_a_query_or_a_word_says_which_boxes(viewer: Client) -> None:
    def chosen(query: str) -> list[str]:
        found = viewer.get(f"/api/v1/devices?query={query}").json()
        return [one["device"] for one in found["devices"]]

    assert chosen("") == ["box-1", "box-2", "cam-3"]
    assert chosen("site%3Dtaipei") == ["box-1"]
    assert chosen("box") == ["box-1", "box-2"]
    assert chosen("&health=offline") == ["box-2"]
    assert chosen("box&health=ok") == ["box-1"]


def test_a_query_that_cannot_be_read_is_answered_with_what_was_expected(viewer: Client) -> None:
    answer = viewer.get("/api/v1/devices?query=sit%3Dtaipei")
    assert (answer.status, answer.json()["error"], answer.json()["at"]) == (400, "query", 0)
    assert "did you mean 'site'" in answer.json()["message"]
    for path in ("/", "/devices"):
        page = viewer.get(f"{path}?query=sit%3Dtaipei")
        assert page.status == 400
        assert "did you mean &#39;site&#39;" in page.text
        assert 'value="sit=taipei"' in page.text, "what was typed is there to be mended"


def test_lists_come_in_pages(viewer: Client) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = viewer.get(f"/api/v1/devices?limit=1&after={after}").json()
        assert page["total"] == 3
        seen += [one["device"] for one in page["devices"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert seen == ["box-1", "box-2", "cam-3"]


def test_the_list_of_devices_leads_from_page_to_page(console: Rig) -> None:
    console.tell(*(hello(f"box-{n:03}") for n in range(150)))
    client = console.signed_in("vera")
    first = client.get("/devices?query=box").text
    assert first.count('href="/devices/box-') == 100
    (more,) = re.findall(r'href="(\?[^"]*)" rel="next"', first)
    second = client.get("/devices" + more.replace("&amp;", "&")).text
    assert second.count('href="/devices/box-') == 50
    assert 'rel="next"' not in second


def test_a_device_is_shown_with_what_changed(console: Rig, viewer: Client) -> None:
    found = viewer.get("/api/v1/devices/box-2").json()
    assert (found["health"], found["labels"]) == ("offline", {"site": "hsinchu"})
    assert found["last_seen"].endswith("Z")
    console.now_ms += 1_000
    console.tell(hello("box-2", "boot-2", version="2.0.0"))
    newest = viewer.get("/api/v1/devices/box-2/changes").json()
    assert {"what": "version", "before": "1.0.0", "after": "2.0.0"}.items() <= next(
        one for one in newest if one["what"] == "version"
    ).items()
    assert "2.0.0" in viewer.get("/devices/box-2").text


def test_a_device_that_is_not_known_is_not_found(viewer: Client) -> None:
    answer = viewer.get("/api/v1/devices/box-11")
    assert (answer.status, answer.json()["error"]) == (404, "not_found")
    assert "did you mean 'box-1'" in answer.json()["message"]
    assert viewer.get("/devices/box-11").status == 404
    assert viewer.get("/devices/BOX%201").status == 404


def test_counts_are_a_chart_with_gaps_and_a_table(console: Rig, viewer: Client) -> None:
    now = START_MS - START_MS % HOUR_MS
    for minutes in (300, 285, 270, 60, 45):
        count(console, "gate", now - minutes * 60_000, 4.0)
    count(console, "north", now - HOUR_MS, 0.0, observed=0.0)
    page = viewer.get("/devices/box-1").text
    lines = re.findall(r'class="line" d="([^"]+)"', page)
    assert [line.count("L") for line in lines] == [2, 1], "where nothing was observed there is no line"
    assert "10 in · 5 out" in page
    assert page.count('<td class="number">4.00</td>') == 5
    assert '<td class="number">\u2013</td>' in page, "no data is never 0"


def test_counts_are_asked_for_by_time_camera_and_step(console: Rig, viewer: Client) -> None:
    hour = START_MS - START_MS % HOUR_MS
    for n in range(6):
        count(console, "gate", hour - HOUR_MS + n * 300_000, float(n))
    count(console, "north", hour - HOUR_MS, 1.0)
    rows = viewer.get("/api/v1/devices/box-1/counts?camera=gate&step=15").json()
    assert [(row["level"], row["observed_seconds"], row["crossings_in"]) for row in rows] == [
        (pytest.approx(1.0), 900.0, 6),
        (pytest.approx(4.0), 900.0, 6),
    ]
    assert len(viewer.get("/api/v1/devices/box-1/counts").json()) == 7
    assert viewer.get("/api/v1/devices/box-1/counts?to=2020-01-01T00:00:00Z").json() == []
    wrong = viewer.get("/api/v1/devices/box-1/counts?from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z")
    assert (wrong.status, "32 days" in wrong.json()["message"]) == (400, True)
    assert viewer.get("/api/v1/devices/box-1/counts?step=7").status == 422
    assert viewer.get("/api/v1/devices/box-1/counts?from=yesterday").json()["expected"][0]["where"] == "query.from"


def test_the_audit_log_shows_who_changed_what_with_its_diff(console: Rig, viewer: Client) -> None:
    admin = console.signed_in("ada")
    assert admin.post("/users/otto", {"role": "viewer"}).status == 303
    page = viewer.get("/api/v1/audit?subject=otto").json()
    assert [(one["who"], one["via"], one["action"], one["summary"]) for one in page["entries"]] == [
        ("ada", "console", "user.change", "otto was operator and is viewer"),
        ("root", "cli", "user.add", "otto is a user, as operator"),
    ]
    with console.database.writing() as connection:
        for n in range(60):
            record(connection, AuditEntry(n, Author("otto", "cli"), "config.set", "fleet", "s", f"-a = {n}\n+a = 2\n"))
    text = viewer.get("/audit").text
    assert '<span class="removed">-a = 59</span>' in text
    assert '<span class="added">+a = 2</span>' in text
    (more,) = re.findall(r'href="(\?[^"]*)" rel="next"', text)
    assert "otto was operator and is viewer" in viewer.get("/audit" + more.replace("&amp;", "&")).text


def test_users_are_managed_by_the_api_and_a_conflict_says_how_it_is(console: Rig) -> None:
    admin = console.token("ada", "admin", "read")
    new = {"name": "eve", "role": "viewer", "password": "a fine long password"}
    assert admin.send("POST", "/api/v1/users", new).status == 201
    again = admin.send("POST", "/api/v1/users", new)
    assert (again.status, again.json()["error"]) == (409, "conflict")
    assert again.json()["current"] == {"name": "eve", "role": "viewer", "disabled": False}
    assert admin.send("PATCH", "/api/v1/users/eve", {"role": "operator"}).json()["role"] == "operator"
    assert admin.send("PATCH", "/api/v1/users/eve", {"role": "operator"}).status == 409
    last = admin.send("PATCH", "/api/v1/users/ada", {"disabled": True})
    assert (last.status, "only admin" in last.json()["message"]) == (409, True)
    assert admin.send("PATCH", "/api/v1/users/eva", {"disabled": True}).status == 404
    entries = admin.get("/api/v1/audit?subject=eve").json()["entries"]
    assert [(one["who"], one["via"]) for one in entries] == [("ada", "api"), ("ada", "api")]


def test_a_wrong_document_is_told_what_was_expected_and_repeats_no_password(console: Rig) -> None:
    admin = console.token("ada", "admin")
    secret = "kept to itself"
    answer = admin.send("POST", "/api/v1/users", {"name": "eve", "rôle": secret, "password": secret})
    assert answer.status == 422
    assert {one["where"] for one in answer.json()["expected"]} == {"body.role", "body.rôle"}
    short = admin.send("POST", "/api/v1/users", {"name": "eve", "role": "admin", "password": "short-one"})
    assert short.status == 400
    assert secret not in answer.text
    assert "short-one" not in short.text


def test_what_is_not_there_or_not_done_is_said_in_the_form_that_was_asked_for(viewer: Client) -> None:
    answer = viewer.get("/api/v1/nothing")
    assert (answer.status, answer.json()["error"]) == (404, "not_found")
    assert viewer.ask("DELETE", "/api/v1/me").status in {403, 405}
    assert "<h1>Not found</h1>" in viewer.get("/nothing").text


def test_a_database_that_is_away_is_said_without_telling_where_it_is(
    console: Rig, viewer: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with console.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE audit")
    answer = viewer.get("/api/v1/audit")
    assert (answer.status, answer.json()["error"], answer.header("retry-after")) == (503, "database", "6")
    assert "fleet.db" not in answer.text
    assert "no such table" in caplog.text


def test_the_api_describes_itself_without_help_of_other_hosts(console: Rig, viewer: Client) -> None:
    described = viewer.get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.")
    assert "/api/v1/devices/{device}/counts" in described["paths"]
    page = viewer.get("/api").text
    for path in described["paths"]:
        assert path in page
    for path in ("/", "/devices", "/audit", "/api", "/account"):
        assert not re.findall(r'(?:src|href|action)="(?!/|\?|#)', viewer.get(path).text), path
    assert Client(console.app).get("/api/v1/openapi.json").status == 401
