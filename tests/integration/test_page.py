"""The page over real HTTP: what it answers, and what it refuses."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import agent.page.app
import agent.page.server
import agent.page.watch
from agent.page.ports import AgentState
from agent.page.server import MOST_CONNECTIONS, PageServer
from contracts.config import PageConfig
from contracts.errors import DeviceError, PortInUseError
from tests.fakes.page import FakeAgent
from tests.integration.pages import Visitor, page_of

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse"
MOVED = {"name": "gate", "start": [0.1, 0.7], "end": [0.9, 0.7]}
PLACE = "/api/cameras/north/lines-and-zones"


@pytest.fixture
def fake() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def page(fake: FakeAgent) -> Iterator[Visitor]:
    with page_of(fake) as visitor:
        yield visitor


@pytest.fixture
def locked(fake: FakeAgent) -> Iterator[Visitor]:
    with page_of(fake, password=PASSWORD) as visitor:
        yield visitor


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    with av.open(io.BytesIO(jpeg), mode="r", format="mjpeg") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


# What it shows


def test_the_state_is_the_agents(page: Visitor, fake: FakeAgent) -> None:
    assert AgentState.model_validate_json(page.ask("/api/state").body) == fake.state


def test_every_file_of_the_page_is_served_from_the_box_alone(page: Visitor) -> None:
    index = page.ask("/").body.decode()
    static = ROOT / "agent/page/static"
    for file in static.iterdir():
        assert page.ask(f"/assets/{file.name}").body == file.read_bytes()
        assert not any(
            f"{scheme}://" in file.read_text().replace("http://www.w3.org/", "") for scheme in ("http", "https")
        )
    assert 'src="assets/app.js"' in index
    assert page.ask("/assets/..%2fserver.py").status == 404
    assert page.ask("/assets/nothing.js").status == 404


def test_watchers_are_sent_each_new_state(page: Visitor, fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        page.connect("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as connection,
        connection.makefile("rb") as lines,
    ):
        seen = [_next_state(lines).cameras["north"].count]
        fake.show("north", 8.0)
        while seen[-1] != 8.0:
            seen.append(_next_state(lines).cameras["north"].count)
    assert seen[0] == 3.0


def _next_state(lines: io.BufferedReader) -> AgentState:
    for line in lines:
        if line.startswith(b"data: "):
            return AgentState.model_validate_json(line.removeprefix(b"data: "))
    raise AssertionError("the stream ended")


def test_pictures_are_made_only_for_who_looks_and_at_a_bounded_rate(fake: FakeAgent) -> None:
    with page_of(fake, picture_fps=0.01) as page:
        page.ask("/api/state")
        assert fake.looks == 0
        pictures = {page.ask("/api/cameras/north/picture.jpg").body for _ in range(5)}
    assert fake.looks == 1
    assert len(pictures) == 1


def test_a_picture_shows_what_the_model_saw(page: Visitor, fake: FakeAgent) -> None:
    look = fake.picture("north")
    assert look is not None
    answer = page.ask("/api/cameras/north/picture.jpg")
    picture = decoded(answer.body)
    assert picture.shape == look.image.shape
    changed = np.abs(picture.astype(int) - look.image[..., ::-1].astype(int)).max(axis=2) > 60
    assert 0.001 < changed.mean() < 0.2
    assert answer.headers["X-Frame"] == "0"
    assert set(json.loads(answer.headers["X-Drawn"])) <= {"car", "truck"}


def test_a_frame_that_is_known_is_not_sent_again(page: Visitor) -> None:
    first = page.ask("/api/cameras/north/picture.jpg")
    again = page.ask("/api/cameras/north/picture.jpg", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_what_is_to_be_hidden_is_hidden(fake: FakeAgent) -> None:
    with page_of(fake, redact=lambda look: np.zeros_like(look.image)) as page:
        picture = decoded(page.ask("/api/cameras/south/picture.jpg").body)
    assert np.median(picture) < 10


def test_where_hiding_fails_no_picture_is_shown(fake: FakeAgent) -> None:
    def fail(_: object) -> NDArray[np.uint8]:
        raise RuntimeError("the model that finds faces failed")

    with page_of(fake, redact=fail) as page:
        answer = page.ask("/api/cameras/north/picture.jpg")
    assert (answer.status, answer.json()) == (404, {"error": "no picture yet"})


def test_pictures_stay_on_the_box_where_the_configuration_does_not_let_them_go(fake: FakeAgent) -> None:
    with page_of(fake, pictures=False) as page:
        answer = page.ask("/api/cameras/north/picture.jpg")
        assert not page.ask("/api/session").json()["pictures"]
    assert answer.status == 403
    assert "page.pictures = true" in answer.json()["error"]
    assert fake.looks == 0


def test_an_unknown_camera_is_said(page: Visitor) -> None:
    for path in ("/api/cameras/west/picture.jpg", "/api/cameras/%2e%2e/picture.jpg"):
        assert page.ask(path).status == 404


def test_the_log_is_shown_without_secrets(fake: FakeAgent) -> None:
    with page_of(fake, password=PASSWORD) as page:
        logging.getLogger("agent.test").error("%s at rtsp://user:hunter2@192.0.2.1/a, %s", "lost", PASSWORD)
        lines = page.ask("/api/logs", headers={"Authorization": f"Bearer {PASSWORD}"}).json()["lines"]
        last = lines[-1]["seq"]
        assert (
            page.ask(f"/api/logs?after={last}", headers={"Authorization": f"Bearer {PASSWORD}"}).json()["lines"] == []
        )
        assert page.ask("/api/logs?after=x", headers={"Authorization": f"Bearer {PASSWORD}"}).status == 400
    assert lines[-1]["text"] == "lost at rtsp://192.0.2.1/a, …"
    assert lines[-1]["level"] == "error"


# Changes


def test_a_change_is_handed_over_as_a_proposal(page: Visitor, fake: FakeAgent) -> None:
    answer = page.change(PLACE, {"line": [MOVED], "zone": []})
    assert (answer.status, answer.json()) == (200, {"problems": [], "note": ""})
    (proposal,) = fake.proposals
    assert (proposal.camera, proposal.line[0].start, proposal.zone) == ("north", (0.1, 0.7), ())


def test_what_the_agent_says_against_a_change_is_said(page: Visitor, fake: FakeAgent) -> None:
    fake.problems = ["line 'gate': an operator rules it"]
    answer = page.change(PLACE, {"line": [MOVED]})
    assert (answer.status, answer.json()["problems"]) == (422, fake.problems)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"line": [{**MOVED, "start": [0.1, 1.5]}]}, "line[0].start[1]"),
        ({"line": [MOVED, MOVED]}, "'gate' stands more than once"),
        ({"line": [{**MOVED, "name": "A b"}]}, "1 to 64 of a-z"),
        ({"line": [{**MOVED, "end": [0.1, 0.7]}]}, "two different ends"),
        ({"zone": [{"name": "z", "polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}]}, "should not cross itself"),
        ({"zone": [{"name": "z", "polygon": [[0, 0]] * 65}]}, "at most 64 corners"),
        ({"line": [MOVED] * 65}, "at most 64"),
        ({"lines": []}, "unknown key 'lines'"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_its_path(
    page: Visitor, fake: FakeAgent, change: dict[str, object], words: str
) -> None:
    answer = page.change(PLACE, change)
    assert answer.status == 422
    assert words in " ".join(answer.json()["problems"])
    assert not fake.proposals


def test_whatever_is_sent_as_a_change_is_answered(page: Visitor) -> None:
    numbers = st.floats(-2, 2) | st.integers() | st.text(max_size=3) | st.none()
    documents = st.recursive(
        numbers,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["line", "zone", "name", "start", "end", "polygon", "labels", "camera"]),
                inner,
                max_size=4,
            )
        ),
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(documents | st.binary(max_size=40))
    def answered(document: object) -> None:
        assert page.change(PLACE, document).status in {200, 400, 422}

    answered()


# Who is let in


def test_a_page_of_another_site_can_neither_change_nor_read_anything(page: Visitor, fake: FakeAgent) -> None:
    token = page.ask("/api/session").json()["token"]
    good = {"Content-Type": "application/json", "X-Edgetally-Token": token, "Origin": page.url}
    document = {"line": [MOVED]}
    for wrong, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"X-Edgetally-Token": "guessed"}, 403),
        ({"X-Edgetally-Token": "é"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": f"evil.example:{page.port}"}, 403),
    ):
        headers = {name: value.encode("utf-8").decode("latin-1") for name, value in {**good, **wrong}.items()}
        assert page.ask(PLACE, "PUT", document, headers).status == status, wrong
    assert not fake.proposals
    assert page.ask("/api/state", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert page.ask("/api/cameras/north/picture.jpg", headers={"Sec-Fetch-Site": "same-site"}).status == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("192.0.2.7:80", 200),
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        (f"{socket.gethostname()}:8080", 200),
        ("counter.example", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_only_the_boxs_own_names_are_answered(fake: FakeAgent, host: str, status: int) -> None:
    with page_of(fake, hosts=("counter.example",)) as page:
        assert page.ask("/api/state", headers={"Host": host}).status == status


def test_every_answer_forbids_the_browser_what_the_page_does_not_need(page: Visitor) -> None:
    for path in ("/", "/api/state", "/assets/app.js", "/nothing", "/metrics", "/api/cameras/north/picture.jpg"):
        headers = page.ask(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers


def test_with_a_password_nothing_is_told_without_it(locked: Visitor) -> None:
    for path in ("/api/state", "/api/logs", "/api/events", "/metrics", "/api/cameras/north/picture.jpg"):
        assert locked.ask(path).status == 401
        assert locked.ask(path, headers={"Cookie": "edgetally_session=guessed"}).status == 401
    assert locked.ask("/healthz").json() == {"healthy": True}
    assert not locked.ask("/api/session").json()["signed_in"]
    assert locked.change(PLACE, {"line": [MOVED]}).status == 401


def test_signing_in_opens_a_session_until_signing_out(locked: Visitor, fake: FakeAgent) -> None:
    answer = locked.change("/api/login", {"password": PASSWORD}, method="POST")
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    mine = {"Cookie": cookie.partition(";")[0]}
    assert locked.ask("/api/state", headers=mine).status == 200
    assert locked.change(PLACE, {"line": [MOVED]}, mine).status == 200
    assert locked.ask(PLACE, "PUT", {"line": []}, mine).status in {403, 415}  # the cookie alone changes nothing
    assert len(fake.proposals) == 1
    assert locked.change("/api/logout", {}, mine, "POST").status == 200
    assert locked.ask("/api/state", headers=mine).status == 401


def test_a_program_may_send_the_password_itself(locked: Visitor, fake: FakeAgent) -> None:
    bearer = {"Authorization": f"Bearer {PASSWORD}"}
    assert locked.ask("/metrics", headers=bearer).status == 200
    assert locked.ask(PLACE, "PUT", {"line": [MOVED]}, bearer).status == 200
    assert len(fake.proposals) == 1


def test_guessing_the_password_ends_after_five_times(locked: Visitor) -> None:
    def guess(password: str) -> int:
        return locked.change("/api/login", {"password": password}, method="POST").status

    assert [guess("wrong") for _ in range(5)] == [403] * 5
    assert guess(PASSWORD) == 429
    assert locked.ask("/api/state", headers={"Authorization": f"Bearer {PASSWORD}"}).status == 429


# What cannot hang it


def test_a_body_or_head_that_is_too_large_is_refused(page: Visitor) -> None:
    assert page.change(PLACE, {"line": [], "x": "x" * 70_000}).status == 413
    assert page.ask("/", headers={"X-Long": "x" * 9000}).status == 400
    with page.connect(
        "GET / HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(100)) + "\r\n"
    ) as many:
        assert b" 400 " in many.recv(100)


def test_who_sends_its_request_too_slowly_is_cut_off(fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.page.server, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(agent.page.app, "_ANSWER_SECONDS", 0.3)
    head = "GET / HTTP/1.1\r\nHost: localhost\r\nX-"
    with page_of(fake) as page, page.connect() as silent, page.connect(head) as dripping:
        token = page.ask("/api/session").json()["token"]
        half = f"PUT {PLACE} HTTP/1.1\r\nHost: localhost\r\nX-Edgetally-Token: {token}\r\n"
        half += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        with page.connect(half) as stuck:
            for connection in (silent, dripping, stuck):
                assert _closed(connection)
        assert page.ask("/api/state").status == 200


def _closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def test_who_opens_too_many_connections_is_turned_away_and_others_are_served_again(page: Visitor) -> None:
    with ExitStack() as stack:
        request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(MOST_CONNECTIONS):
            assert b" 200 " in stack.enter_context(page.connect(request)).recv(4096)  # it was taken in, and is kept
        one_more = stack.enter_context(page.connect())
        with contextlib.suppress(ConnectionError):
            one_more.sendall(request.encode())
        assert _closed(one_more)  # and not answered
    for _ in range(1000):  # the others' ends are noticed one by one
        try:
            assert page.ask("/api/state").status == 200
            break
        except (ConnectionError, OSError):
            continue
    assert page.ask("/api/state").status == 200


def test_only_so_many_may_watch_and_the_next_is_told(fake: FakeAgent) -> None:
    with page_of(fake, viewers=2) as page, ExitStack() as stack:
        request = "GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(2):
            assert b" 200 " in stack.enter_context(page.connect(request)).recv(100)
        answer = page.ask("/api/events")
        assert answer.status == 503
        assert "page.viewers" in answer.json()["error"]
        assert "Retry-After" in answer.headers
        assert b"edgetally_page_viewers 2.0" in page.ask("/metrics").body


def test_a_watcher_that_does_not_read_is_dropped(fake: FakeAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent.page.app, "_WRITE_SECONDS", 0.3)
    monkeypatch.setattr(agent.page.app, "_TICK", 0.0)
    facts = fake.state.facts.model_copy(update={"facts": {"long": "x" * 2_000_000}})
    fake.state = fake.state.model_copy(update={"facts": facts})
    with page_of(fake) as page, page.connect("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n") as watcher:
        assert watcher.recv(20)
        while b"edgetally_page_viewers 0.0" not in page.ask("/metrics").body:
            pass


def test_who_leaves_before_the_answer_is_no_fault(
    fake: FakeAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent.page.app, "_ANSWER_SECONDS", 0.5)
    fake.read_gate.clear()
    with page_of(fake) as page:
        for _ in range(3):
            with page.connect("GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n") as leaving:
                leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with page.connect("GET /api/state HTTP/1.1\r\nHost: localhost\r\n\r\n") as waiting:
            assert _closed(waiting)  # the agent did not tell within the time for an answer
        fake.read_gate.set()
        assert page.ask("/api/state").status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# Health


def test_healthy_only_while_every_camera_counts_fresh_frames(page: Visitor, fake: FakeAgent) -> None:
    answer = page.ask("/healthz")
    assert (answer.status, answer.json()["cameras"]["north"]) == (200, {"counting": True, "why": None})
    fake.show("south", None, "no_camera")
    while (answer := page.ask("/healthz")).status == 200:  # a state is shown for half a second
        pass
    assert answer.status == 503
    assert answer.json()["cameras"]["north"]["counting"]
    assert answer.json()["cameras"]["south"]["why"] == "the camera gives no frames"


def test_an_agent_that_hangs_is_not_healthy_and_does_not_hang_the_page(
    fake: FakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.page.watch, "_PATIENCE", 0.2)
    fake.read_gate.clear()
    with page_of(fake) as page:
        answers = [page.ask(path) for path in ("/healthz", "/api/state", "/metrics")]
        assert [answer.status for answer in answers] == [503] * 3
        assert "does not answer" in answers[0].json()["why"]
        assert page.ask("/").status == 200
        fake.read_gate.set()
        while page.ask("/healthz").status != 200:
            pass


def test_an_agent_that_cannot_tell_is_not_healthy(page: Visitor, fake: FakeAgent) -> None:
    fake.broken = DeviceError("the disk is gone")
    answer = page.ask("/healthz")
    assert answer.status == 503
    assert "the disk is gone" in answer.json()["why"]


# Starting and ending


def test_an_address_that_is_taken_is_said(page: Visitor, fake: FakeAgent) -> None:
    with pytest.raises(PortInUseError, match=r"page\.address"):
        PageServer(PageConfig(address=f"127.0.0.1:{page.port}"), fake.ports()).start()


def test_an_address_of_another_box_is_said(fake: FakeAgent) -> None:
    with pytest.raises(DeviceError, match=r"cannot listen on 192\.0\.2\.1:8080"):
        PageServer(PageConfig(address="192.0.2.1:8080", password=PASSWORD), fake.ports()).start()


def test_it_ends_while_somebody_watches(fake: FakeAgent) -> None:
    with page_of(fake) as page:
        watcher = page.connect("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert watcher.recv(20)
    with watcher:
        while watcher.recv(100_000):
            pass
    with pytest.raises(ConnectionRefusedError):
        page.ask("/")


def test_it_speaks_https_where_it_has_a_certificate(fake: FakeAgent, tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    make += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
    ]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    files: dict[str, Any] = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    from agent.page.client import PageAddress, read_state

    with page_of(fake, password=PASSWORD, **files) as page:
        at = PageConfig(address=f"127.0.0.1:{page.port}", password=PASSWORD, **files)
        with page.connect("this is no TLS") as stranger:
            assert stranger.recv(100) is not None
        assert read_state(PageAddress.of(at)) == fake.state


def test_a_certificate_that_cannot_be_read_is_said(fake: FakeAgent) -> None:
    config = PageConfig(address="127.0.0.1:8080", certificate="none.pem", key="none.pem")
    with pytest.raises(DeviceError, match=r"page\.certificate"):
        PageServer(config, fake.ports()).start()


def test_the_daemon_loads_no_web_server_while_the_page_is_off() -> None:
    program = (
        "import sys, agent.daemon, agent.page.server\n"
        "print(sorted({'aiohttp', 'prometheus_client'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.stdout.strip() == "[]", run.stderr


# The terminal view


def top(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", "top", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)


def test_top_shows_what_the_page_shows(page: Visitor, fake: FakeAgent) -> None:
    shown = top("--url", page.url, "--once", env={"COLUMNS": "140", "PATH": "/usr/bin"})
    assert shown.returncode == 0, shown.stderr
    assert all(word in shown.stdout for word in ("north", "south", "29.8", "gate 5 / 4", "junction 1")), shown.stdout
    document = top("--url", page.url, "--once", "--json")
    assert AgentState.model_validate_json(document.stdout) == fake.state


def test_top_says_what_to_do_where_the_page_is_off(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('device = "b"\nbundle = "b"\n[broker]\nhost = "h"\n[[camera]]\nid = "c"\nsource = "synthetic"\n')
    off = top("--config", path, "--once")
    assert off.returncode == 2
    assert "the page is off; add a line [page]" in off.stderr
    path.write_text(path.read_text() + '[page]\naddress = "127.0.0.1:1"\n')
    silent = top("--config", path, "--once")
    assert silent.returncode == 2
    assert "is the agent running" in silent.stderr


def test_top_asks_with_the_password_of_the_configuration(locked: Visitor, tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('device = "b"\nbundle = "b"\n[broker]\nhost = "h"\n[[camera]]\nid = "c"\nsource = "synthetic"\n')
    path.write_text(path.read_text() + f'[page]\naddress = "127.0.0.1:{locked.port}"\npassword = "{PASSWORD}"\n')
    assert top("--config", path, "--once", "--json").returncode == 0
    refused = top("--url", locked.url, "--once", "--json")
    assert refused.returncode == 2
    assert "sign in" in refused.stderr
