"""Who gets in, who does not, and what each may do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text

from fleet.store.sessions import IDLE_MS, LONGEST_MS
from tests.unit.fleet.console.consoles import AUTHOR, DAY_MS, PASSWORD, QUICK, Client, Rig, rig

COOKIE = "edgetally_fleet"


@contextmanager
def logged(caplog: pytest.LogCaptureFixture, text: str) -> Iterator[None]:
    """The block has this logged."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        yield
    assert any(text in one.getMessage() for one in caplog.records), [one.getMessage() for one in caplog.records]


def test_without_any_user_nothing_is_served_but_how_to_make_one(tmp_path: Path) -> None:
    empty = rig(tmp_path)
    client = Client(empty.app)
    for path in ("/", "/login", "/api/v1/devices", "/metrics", "/static/style.css", "/nonsense"):
        answer = client.get(path)
        assert answer.status == 503
        assert "edgetally-fleet user add NAME --role admin" in answer.text
    empty.user("ada", "admin")
    assert client.get("/login").status == 200
    empty.database.close()


def test_who_is_not_signed_in_comes_to_the_page_that_was_asked_after_signing_in(console: Rig) -> None:
    client = Client(console.app)
    answer = client.get("/devices?query=online%3Dno")
    assert (answer.status, answer.header("location")) == (303, "/login?next=%2Fdevices%3Fquery%3Donline%253Dno")
    assert 'value="/devices?query=online%3Dno"' in client.get(answer.header("location") or "").text
    signed_in = client.post("/login", {"name": "vera", "password": PASSWORD, "next": "/devices?query=online%3Dno"})
    assert (signed_in.status, signed_in.header("location")) == (303, "/devices?query=online%3Dno")
    assert client.get("/devices").status == 200


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\r\nX: 1", "javascript:x", "\\\\e"],
)
def test_signing_in_leads_to_no_other_site(console: Rig, elsewhere: str) -> None:
    answer = Client(console.app).post("/login", {"name": "vera", "password": PASSWORD, "next": elsewhere})
    assert (answer.status, answer.header("location")) == (303, "/")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(console: Rig, tmp_path: Path) -> None:
    cookie = Client(console.app).sign_in("vera").header("set-cookie") or ""
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie, "a browser would not send it to http://127.0.0.1"
    (tmp_path / "https").mkdir()
    https = rig(tmp_path / "https", https=True)
    https.user("vera")
    answer = Client(https.app).sign_in("vera")
    assert (answer.header("set-cookie") or "").startswith("__Host-edgetally_fleet=")
    assert "Secure" in (answer.header("set-cookie") or "")
    assert answer.header("strict-transport-security")
    https.database.close()


def test_the_database_holds_no_token_and_no_password(console: Rig, tmp_path: Path) -> None:
    client = console.signed_in("vera")
    program = console.token("ada", "read")
    secrets = [client.cookies[COOKIE], program.headers["authorization"].removeprefix("Bearer "), PASSWORD]
    console.database.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"vera" in stored
    assert not [secret for secret in secrets if secret.encode() in stored]


def test_a_forged_or_altered_session_is_refused_and_logged(console: Rig, caplog: pytest.LogCaptureFixture) -> None:
    real = console.signed_in("ada").cookies[COOKIE]
    forged = {"A" * 43: "unknown", real[:-1] + ("A" if real[-1] != "A" else "B"): "unknown", real + "A": "altered"}
    for token, reason in {**forged, "' OR 1=1 --": "altered", "": "altered"}.items():
        with logged(caplog, f"is refused: {reason}"):
            answer = Client(console.app, cookies={COOKIE: token}).get("/api/v1/me")
        assert (answer.status, answer.json()["error"]) == (401, "session")
        assert real not in caplog.text


def test_a_session_ends_unused_and_in_any_case(console: Rig, caplog: pytest.LogCaptureFixture) -> None:
    idle, busy = console.signed_in("vera"), console.signed_in("vera")
    for _ in range(LONGEST_MS // (IDLE_MS // 2) - 1):
        console.now_ms += IDLE_MS // 2
        assert busy.get("/").status == 200
    with logged(caplog, "a session of vera from 203.0.113.7 is refused: idle"):
        assert idle.get("/api/v1/me").status == 401
    console.now_ms += IDLE_MS // 2
    with logged(caplog, "refused: expired"):
        assert busy.get("/api/v1/me").status == 401


def test_a_clock_that_is_set_back_makes_no_session_longer(console: Rig) -> None:
    client = console.signed_in("vera")
    console.now_ms -= 30_000
    assert client.get("/").status == 200, "two consoles' clocks may differ a little"
    console.now_ms -= DAY_MS
    assert client.get("/api/v1/me").status == 401
    assert console.signed_in("vera").get("/").status == 200


def test_a_page_that_refreshes_itself_keeps_no_session_open(console: Rig) -> None:
    client = console.signed_in("vera")
    console.now_ms += IDLE_MS - 1
    assert client.get("/", x_edgetally_refresh="1").status == 200
    console.now_ms += 1
    answer = client.get("/", x_edgetally_refresh="1")
    assert answer.status == 401, "and it is told so, instead of being sent to the sign-in page"


def test_a_database_that_takes_nothing_more_still_shows_the_fleet(
    console: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    client, program = console.signed_in("vera"), console.token("vera", "read")
    with console.database.writing() as connection:
        for table in ("console_session", "api_token"):
            fails = f"BEFORE UPDATE ON {table} BEGIN SELECT RAISE(FAIL, 'disk is full'); END"
            connection.execute(text(f"CREATE TRIGGER full_{table} {fails}"))
    console.now_ms += 120_000
    with logged(caplog, "that a session is used cannot be noted"):
        assert client.get("/devices").status == 200
    with logged(caplog, "cannot be noted"):
        assert program.get("/api/v1/devices").status == 200
    console.now_ms += IDLE_MS
    assert client.get("/api/v1/me").status == 401


def test_who_only_looks_waits_for_nobody_who_writes_longer_than_a_moment(console: Rig) -> None:
    client, program = console.signed_in("vera"), console.token("vera", "read")
    console.now_ms += 120_000
    ran: list[str] = []
    event.listen(console.database._engine, "before_cursor_execute", lambda *given: ran.append(given[2]))
    assert [client.get("/devices").status, program.get("/api/v1/devices").status] == [200, 200]
    before = [ran[at - 1] for at, one in enumerate(ran) if one == "BEGIN IMMEDIATE"]
    assert before == ["PRAGMA busy_timeout = 1000"] * 2, "so long is waited, and then it is left out"


def test_signing_out_ends_the_session_everywhere(console: Rig) -> None:
    client = console.signed_in("vera")
    stolen = Client(console.app, cookies=dict(client.cookies))
    assert stolen.get("/").status == 200
    assert client.post("/logout", {}).status == 303
    assert client.cookies == {}
    assert stolen.get("/api/v1/me").status == 401


def test_disabling_a_user_or_changing_the_password_ends_all_of_their_sessions(console: Rig) -> None:
    vera, otto = [console.signed_in("vera") for _ in range(2)], console.signed_in("otto")
    token = console.token("vera", "read")
    console.console.users.change("vera", AUTHOR, console.now_ms, disabled=True)
    assert [client.get("/api/v1/me").status for client in [*vera, token]] == [401, 401, 401]
    assert Client(console.app).sign_in("vera").status == 403
    console.console.users.change("vera", AUTHOR, console.now_ms, disabled=False)
    assert vera[0].get("/api/v1/me").status == 401, "what ended stays so"
    console.console.users.set_password("otto", QUICK.hash("another one for otto"), AUTHOR, console.now_ms)
    assert otto.get("/api/v1/me").status == 401


def test_ones_own_password_takes_the_old_one(console: Rig) -> None:
    client = console.signed_in("vera")
    new = "a much better password"
    assert client.post("/account/password", {"old": "not the old one", "new": new}).status == 403
    assert client.post("/account/password", {"old": PASSWORD, "new": "short"}).status == 400
    assert client.post("/account/password", {"old": PASSWORD, "new": new}).status == 303
    assert client.get("/api/v1/me").status == 401
    assert Client(console.app).sign_in("vera").status == 403
    assert Client(console.app).sign_in("vera", new).status == 303


@pytest.mark.parametrize("path", ["/users/vera", "/logout", "/account/password"])
def test_a_change_without_the_sessions_own_token_is_refused_and_logged(
    console: Rig, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    client, other = console.signed_in("ada"), console.signed_in("ada")
    for token in ("", "x" * 43, other.csrf, "é"):
        client.csrf = ""
        form = {"disabled": "yes", "old": PASSWORD, "new": "another password"} | ({"csrf": token} if token else {})
        with logged(caplog, "a change in the name of ada lacks the session's own token"):
            assert client.post(path, form).status == 403
    assert not [user for user in console.console.users.all() if user.disabled]
    assert client.get("/api/v1/me").status == 200


def test_a_session_changes_things_by_the_api_with_its_token_in_a_header(console: Rig) -> None:
    client = console.signed_in("ada")
    assert client.send("PATCH", "/api/v1/users/vera", {"disabled": True}).json()["error"] == "csrf"
    client.headers["x-edgetally-token"] = client.csrf
    assert client.send("PATCH", "/api/v1/users/vera", {"disabled": True}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://localhost"},
        {"origin": "http://localhost:8080"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/users/vera"])
def test_another_site_changes_nothing_though_it_has_the_token(console: Rig, path: str, headers: dict[str, str]) -> None:
    client = console.signed_in("ada")
    client.headers |= headers
    answer = client.post(path, {"name": "ada", "password": PASSWORD, "disabled": "yes"})
    assert (answer.status, answer.json()["error"]) == (403, "cross_site")
    assert not [user for user in console.console.users.all() if user.disabled]


def test_our_own_page_may_change_things(console: Rig) -> None:
    client = console.signed_in("ada")
    client.headers |= {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/users/vera", {"disabled": "yes"}).status == 303
    assert [user.name for user in console.console.users.all() if user.disabled] == ["vera"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:80"])
def test_a_name_that_was_pointed_at_us_is_refused(console: Rig, host: str) -> None:
    client = console.signed_in("vera")
    assert client.get("/", host=host).status == 421


def test_addresses_and_the_names_that_were_given_are_ours(tmp_path: Path) -> None:
    named = rig(tmp_path, hosts=frozenset({"fleet.example"}))
    named.user("vera")
    for host in ("127.0.0.1:8090", "[::1]:8090", "::1", "10.0.0.7", "localhost", "Fleet.Example:443", "fleet.example."):
        assert Client(named.app).get("/login", host=host).status == 200, host
    named.database.close()


def test_what_each_role_may_not_do_is_refused_and_logged(console: Rig, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("vera", "otto"):
        client = console.signed_in(name)
        assert client.get("/devices").status == 200
        for path in ("/users", "/api/v1/users"):
            with logged(caplog, f"{name} lacks the right 'admin'"):
                assert client.get(path).status == 403
        with logged(caplog, f"{name} lacks the right 'admin'"):
            assert client.post("/users/ada", {"disabled": "yes"}).status == 403
        assert 'href="/users"' not in client.get("/").text
    assert not [user for user in console.console.users.all() if user.disabled]


def test_a_token_may_do_what_its_scopes_and_its_user_may(console: Rig) -> None:
    assert console.token("ada", "read").get("/api/v1/users").status == 403
    assert console.token("vera", "read", "admin").get("/api/v1/users").status == 403
    admin = console.token("ada", "admin")
    assert admin.get("/api/v1/users").status == 200
    assert admin.get("/api/v1/devices").status == 403, "it has not the scope 'read'"
    both = console.token("ada", "read", "admin")
    assert both.get("/api/v1/me").json() == {"name": "ada", "role": "admin", "rights": ["admin", "read"]}
    console.user("eve", "admin")
    console.console.users.change("ada", AUTHOR, console.now_ms, role="viewer")
    assert both.get("/api/v1/me").json()["rights"] == ["read"]


def test_a_token_that_is_wrong_over_or_revoked_is_refused_and_logged(
    console: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    client = console.token("ada", "read")
    given = client.headers["authorization"]
    for wrong in ("Bearer ", "Bearer edgetally_x", given + "x", "Basic YWRhOmFkYQ==", "é"):
        assert Client(console.app, {"authorization": wrong}).get("/api/v1/me").status == 401
    (token,) = console.console.tokens.all()
    assert token.used_ms is None
    assert client.get("/api/v1/me").status == 200
    assert console.console.tokens.all()[0].used_ms == console.now_ms
    console.now_ms += DAY_MS
    with logged(caplog, "a token from 203.0.113.7 is refused"):
        assert client.get("/api/v1/me").status == 401
    console.now_ms -= DAY_MS
    console.console.tokens.revoke(token.id, AUTHOR, console.now_ms)
    assert client.get("/api/v1/me").status == 401


def test_guessing_is_slowed_down_and_never_locks_the_user_out(console: Rig) -> None:
    home = console.signed_in("vera")
    guesses = [Client(console.app).sign_in("vera", "guess").status for _ in range(8)]
    assert guesses == [403] * 5 + [429] * 3
    answer = Client(console.app).sign_in("vera")
    assert (answer.status, int(answer.header("retry-after") or 0) <= 13) == (429, True)
    for n in range(40):  # from ever other addresses
        Client(console.app, address=f"198.51.100.{n}").sign_in("vera", "guess")
    assert Client(console.app, address="192.0.2.1").sign_in("vera").status == 429
    assert Client(console.app, address="192.0.2.1").sign_in("otto").status == 303, "others are not held up"
    assert home.get("/").status == 200


def test_a_stranger_who_guesses_does_not_hold_up_an_address_that_signed_in_before(console: Rig) -> None:
    office = Client(console.app, address="192.0.2.1")
    assert office.sign_in("vera").status == 303
    for n in range(40):
        Client(console.app, address=f"198.51.100.{n}").sign_in("vera", "guess")
    assert office.sign_in("vera").status == 303


def test_whether_a_user_exists_is_told_by_no_word(console: Rig, caplog: pytest.LogCaptureFixture) -> None:
    console.console.users.change("otto", AUTHOR, console.now_ms, disabled=True)
    answers = [Client(console.app).sign_in(name, "guess") for name in ("vera", "nobody", "otto", PASSWORD, "v" * 900)]
    assert {answer.status for answer in answers} == {403}
    assert all("the name or the password is wrong" in answer.text for answer in answers)
    assert PASSWORD not in caplog.text, "what is typed into the wrong field is no log's business"


def test_a_password_is_compared_for_unknown_users_too(console: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str | None] = []
    real = QUICK.matches

    def matches(stored: str | None, password: str) -> bool:
        compared.append(stored)
        return real(stored, password)

    monkeypatch.setattr(QUICK, "matches", matches)
    assert Client(console.app).sign_in("nobody").status == 403
    assert compared == [None]


def test_who_asks_too_often_waits(tmp_path: Path) -> None:
    few = rig(tmp_path, requests=5, strangers=3)
    few.user("vera")
    token = few.token("vera", "read")
    assert [token.get("/api/v1/me").status for _ in range(7)] == [200] * 5 + [429] * 2
    assert int(token.get("/api/v1/me").header("retry-after") or 0) >= 1
    assert few.token("vera", "read").get("/api/v1/me").status == 200, "another token is counted by itself"
    strangers = [Client(few.app, address=f"2001:db8::{n}").get("/api/v1/me").status for n in range(5)]
    assert strangers == [401] * 3 + [429] * 2, "one who is given many addresses is counted once"
    few.database.close()


@pytest.mark.parametrize("path", ["/", "/login", "/static/refresh.js", "/api/v1/me", "/nonsense", "/metrics"])
def test_every_answer_carries_the_headers(console: Rig, path: str) -> None:
    for client in (Client(console.app), console.signed_in("vera")):
        answer = client.get(path)
        policy = answer.header("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("referrer-policy") == "same-origin"
    assert Client(console.app).get(path, host="evil.example").header("content-security-policy")


def test_large_bodies_are_not_read(console: Rig) -> None:
    client = Client(console.app)
    assert client.ask("POST", "/login", b"x", {"content-length": "70000"}).status == 413
    kind = {"content-type": "application/x-www-form-urlencoded", "content-length": "10"}
    assert client.ask("POST", "/login", b"name=" + b"x" * 70_000, kind).status in {400, 413}
    assert console.signed_in("vera").get("/").status == 200


def test_nobody_is_told_of_requests_whatever_the_environment_says(
    console: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI comes with OpenTelemetry, which another package of the process may have set up."""
    from opentelemetry import trace

    asked: list[str] = []

    class Provider(trace.TracerProvider):
        def get_tracer(self, *arguments: object, **more: object) -> trace.Tracer:
            asked.append(str(arguments))
            return trace.NoOpTracer()

    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Provider())
    watched = Rig(console.database)
    assert Client(watched.app).get("/login").status == 200
    assert asked == []
