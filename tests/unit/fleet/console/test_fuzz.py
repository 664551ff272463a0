"""Whatever is asked, an answer comes that says so, and nothing of it is obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.fleet import facts, hello
from tests.fakes.releases import MemoryReleases, release
from tests.unit.fleet.console.consoles import Client, Rig, rig

PATHS = (
    "/api/v1/overview", "/api/v1/devices", "/api/v1/devices/box-1", "/api/v1/devices/box-1/changes",
    "/api/v1/devices/box-1/counts", "/api/v1/audit", "/api/v1/me", "/api/v1/users", "/api/v1/users/vera",
    "/api/v1/rollouts", "/api/v1/rollouts/1", "/api/v1/rollouts/1/boxes", "/api/v1/rollouts/1/pause", "/api/v1/layers",
    "/api/v1/layers/fleet", "/api/v1/layers/group/a", "/api/v1/layers/group/a/preview", "/api/v1/layers/x/y/z",
    "/api/v1/devices/box-1/config", "/api/v1/devices/box-1/wanted", "/rollouts", "/rollouts/new", "/rollouts/1",
    "/rollouts/1/boxes", "/rollouts/1/revert", "/layers", "/layers/fleet", "/layers/edit", "/layers/preview",
    "/layers/apply", "/layers/back", "/layers/remove",
    "/", "/devices", "/devices/box-1", "/audit", "/login", "/users/vera", "/account/password", "/metrics",
)  # fmt: skip
NAMES = (
    "query",
    "limit",
    "after",
    "health",
    "camera",
    "from",
    "to",
    "step",
    "before",
    "subject",
    "hours",
    "next",
    "state",
    "release",
    "waves",
    "risk",
    "soak",
    "layer",
    "revision",
)
ANYTHING = st.text(max_size=40) | st.integers().map(str) | st.sampled_from(
    ["-1", "0", "9" * 30, "1e9", "NaN", "null", "2026-13-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
     "0001-01-01T00:00:00+14:00", "x=1 & (", "!" * 500, "(" * 900, "site~" + "*" * 300, "\0", "%", "../../etc/passwd"]
)  # fmt: skip
SECOND = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "role", "disabled", "config", "query", "rank", "revision", "release", "waves", "broker"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    made = rig(folder, requests=10**9, strangers=10**9)
    made.user("ada", "admin")
    made.user("vera")
    made.console.releases = MemoryReleases(release("cars", "2.0.0"))
    made.tell(hello("box-1"), facts("box-1", labels={"site": "a"}))
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def admin(console: Rig) -> Client:
    return console.token("ada", "read", "admin", "config", "rollout")


@settings(max_examples=300)
@given(
    path=st.sampled_from(PATHS) | st.text(max_size=20).map(lambda text: "/api/v1/devices/" + quote(text)),
    asked=st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4),
)
def test_any_question_is_answered_without_a_fault(admin: Client, path: str, asked: dict[str, str]) -> None:
    query = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in asked.items())
    answer = admin.get(f"{path}?{query}")
    assert answer.status in {200, 303, 400, 404, 405, 422}, answer.text
    if answer.status >= 400 and path.startswith("/api"):
        assert {"error", "message"} <= answer.json().keys()


@settings(max_examples=200)
@given(method=st.sampled_from(["POST", "PATCH", "PUT", "DELETE"]), path=st.sampled_from(PATHS), document=SECOND)
def test_any_document_is_answered_without_a_fault(admin: Client, method: str, path: str, document: object) -> None:
    answer = admin.send(method, path, document)
    assert answer.status in {200, 303, 400, 403, 404, 405, 409, 422, 428}, answer.text


@settings(max_examples=300)
@given(
    path=st.sampled_from(["/rollouts", "/rollouts/1/pause", "/layers/preview", "/layers/apply", "/layers/back",
                          "/layers/remove"]),
    fields=st.dictionaries(
        st.sampled_from(["layer", "body", "query", "rank", "revision", "release", "waves", "soak", "retries", "seen"]),
        ANYTHING | st.sampled_from(["fleet", "group/a", "cars@2.0.0", "[broker]", "a = 1", "{", "[" * 5_000]),
    ),
)  # fmt: skip
def test_any_form_is_answered_without_a_fault(admin: Client, path: str, fields: dict[str, str]) -> None:
    answer = admin.ask(
        "POST",
        path,
        urlencode(fields, errors="surrogatepass").encode(),
        {"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status in {200, 303, 400, 404, 409, 422}, answer.text


@settings(max_examples=200)
@given(method=st.sampled_from(["GET", "POST", "PATCH"]), path=st.sampled_from(PATHS), body=st.binary(max_size=200),
       kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                             "multipart/form-data", "text/plain", "é"]),
       cookie=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60))  # fmt: skip
def test_any_bytes_of_a_stranger_are_answered_without_a_fault(
    console: Rig, method: str, path: str, body: bytes, kind: str, cookie: str
) -> None:
    client = Client(console.app, cookies={"edgetally_fleet": cookie})
    answer = client.ask(method, path, body, {"content-type": kind})
    assert answer.status in {200, 303, 400, 401, 403, 404, 405, 415, 422, 429}, answer.text
    assert answer.status != 200 or path == "/login"
