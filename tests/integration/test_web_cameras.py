"""Cameras over HTTP against real servers on this machine: usual ones, odd ones and hostile ones."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cameras import mjpeg, table
from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.mjpeg import MjpegSource, SnapshotSource
from agent.cameras.table import open_source
from agent.cameras.video import VideoSource
from contracts.config import CameraConfig
from contracts.errors import CameraError
from contracts.model_spec import InputSpec
from tests.unit.agent.cameras.clips import LEFT, close_to, write_clip, write_picture

WANTED = Wanted(InputSpec(width=64, height=64))
DEADLINE = 20.0
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"
SNAPSHOT = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"

Answer = Callable[[bytes, socket.socket], None]


class WebCamera:
    """Gives each request to ``answer``, with the socket: what goes over the wire is the test's own."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def url(self, path: str = "/x", credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}{path}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            request = b""
            while b"\r\n\r\n" not in request and (data := connection.recv(65536)):
                request += data
            self.requests.append(request)
            self._answer(request, connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], WebCamera]]:
    started: list[WebCamera] = []

    def start(answer: Answer) -> WebCamera:
        started.append(WebCamera(answer))
        return started[-1]

    yield start
    for camera in started:
        camera.close()


Serve = Callable[[Answer], WebCamera]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_picture(tmp_path_factory.mktemp("web") / "a.jpg").read_bytes()


def open_url(url: str, **options: object) -> Source:
    camera = CameraConfig.model_validate({"id": "gate", "source": url, **options})
    return open_source(camera, WANTED, threading.Event())


def frames(url: str, count: int, **options: object) -> list[Frame]:
    with contextlib.closing(open_url(url, **options)) as source:
        return [frame for frame in (source.read() for _ in range(count)) if frame is not None]


def part(data: bytes, header: bytes = b"", *, length: bool = True, boundary: bytes = b"--next") -> bytes:
    size = b"Content-Length: %d\r\n" % len(data) if length else b""
    return boundary + b"\r\nContent-Type: image/jpeg\r\n" + size + header + b"\r\n" + data + b"\r\n"


def chunked(data: bytes, size: int = 1000) -> bytes:
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


@pytest.mark.parametrize("how", ["length", "no length", "bare boundary", "unannounced boundary", "chunked", "preamble"])
def test_pictures_come_from_every_usual_form_of_the_stream(serve: Serve, picture: bytes, how: str) -> None:
    boundary = {"bare boundary": b"next", "unannounced boundary": b"--other"}.get(how, b"--next")
    body = b"".join(part(picture, length=how != "no length", boundary=boundary) for _ in range(4))
    body += boundary + b"\r\n"
    if how == "preamble":
        body = b"\r\n\r\n" + body
    head = STREAM.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") if how == "chunked" else STREAM
    camera = serve(lambda _, to: to.sendall(head + (chunked(body) if how == "chunked" else body)))
    read = frames(camera.url(), 4)
    assert [frame.sequence for frame in read] == [0, 1, 2, 3]
    assert all(frame.image.shape == (64, 64, 3) and close_to(frame.image[32, 16], LEFT) for frame in read)
    with contextlib.closing(open_url(camera.url())) as source, pytest.raises(CameraError, match="broke off"):
        list(iter(source.read, None))


def test_a_pictures_own_time_is_taken_where_it_can_be_believed(serve: Serve, picture: bytes) -> None:
    now = time.time()
    stamps = [now - 3.5, now - 3.4, now - 86400]
    body = b"".join(part(picture, b"X-Timestamp: %.6f\r\n" % stamp) for stamp in stamps)
    camera = serve(lambda _, to: to.sendall(STREAM + body))
    first, second, third = frames(camera.url(), 3)
    assert (first.wall_time, second.wall_time) == pytest.approx((now - 3.5, now - 3.4), abs=1e-3)
    assert second.shown_at - first.shown_at == pytest.approx(0.1, abs=1e-3)
    assert third.wall_time >= now
    assert time.monotonic() - third.captured_at < DEADLINE


def test_pictures_above_the_rate_and_torn_ones_are_left_out_by_cause(serve: Serve, picture: bytes) -> None:
    now = time.time()
    good = [part(picture, b"X-Timestamp: %.3f\r\n" % (now + at / 10)) for at in range(20)]
    camera = serve(lambda _, to: to.sendall(STREAM + b"".join(good)))
    with contextlib.closing(open_url(camera.url(), fps=2)) as source:
        with pytest.raises(CameraError, match="broke off"):
            list(iter(source.read, None))
        assert source.dropped["rate"] in {15, 16}
    torn = [part(picture[: len(picture) // 2]), part(b"noise"), part(picture)]
    camera = serve(lambda _, to: to.sendall(STREAM + b"".join(torn)))
    with contextlib.closing(open_url(camera.url())) as source:
        frame = source.read()
        assert frame is not None
        assert (frame.sequence, source.dropped) == (2, {"damaged": 2})


def test_single_pictures_are_asked_for_at_the_cameras_rate(serve: Serve, picture: bytes) -> None:
    camera = serve(lambda _, to: to.sendall(SNAPSHOT + picture))
    read = frames(camera.url(), 4, fps=20)
    assert [frame.sequence for frame in read] == [0, 1, 2, 3]
    assert close_to(read[3].image[32, 16], LEFT)
    assert read[3].captured_at - read[0].captured_at >= 0.14
    assert len(camera.requests) == 4


def test_a_video_over_http_is_still_ffmpegs(serve: Serve, tmp_path: Path) -> None:
    data = write_clip(tmp_path / "a.ts").read_bytes()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: %d\r\n\r\n" % len(data)
    camera = serve(lambda _, to: to.sendall(head + data))
    with contextlib.closing(open_url(camera.url(), realtime=False)) as source:
        assert isinstance(source, VideoSource)
        frame = source.read()
        assert frame is not None
        assert close_to(frame.image[32, 16], LEFT)


def test_a_server_that_changes_its_mind_gets_no_mjpeg_into_ffmpeg(serve: Serve, picture: bytes) -> None:
    turns = itertools.count()
    video = b"HTTP/1.1 200 OK\r\nContent-Type: video/x-unknown\r\n\r\n"
    camera = serve(lambda _, to: to.sendall((STREAM if next(turns) else video) + part(picture) * 20))
    with pytest.raises(CameraError, match=r"nothing that is a video|not written as"):
        frames(camera.url(), 1)


def digest_of(request: bytes, user: str, password: str) -> bool:
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', request.decode().partition("Authorization: Digest ")[2]))
    if not fields:
        return False

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    secret, what = md5(f"{user}:{fields['realm']}:{password}"), md5(f"GET:{fields['uri']}")
    wanted = md5(f"{secret}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{what}")
    return bool(fields["response"] == wanted)


@pytest.mark.parametrize("scheme", ["basic", "digest"])
def test_a_password_is_given_only_where_it_is_asked_for(serve: Serve, picture: bytes, scheme: str) -> None:
    basic = base64.b64encode(b"viewer:s3@cret/x").decode()

    def answer(request: bytes, to: socket.socket) -> None:
        known = f"Basic {basic}".encode() in request if scheme == "basic" else digest_of(request, "viewer", "s3@cret/x")
        demanded = b'Basic realm="cam"' if scheme == "basic" else b'Digest realm="cam", nonce="abc", qop="auth"'
        refusal = b"HTTP/1.1 401 No\r\nWWW-Authenticate: " + demanded + b"\r\nContent-Length: 0\r\n\r\n"
        to.sendall(STREAM + part(picture) if known else refusal)

    camera = serve(answer)
    assert len(frames(camera.url(credentials="viewer:s3%40cret%2Fx@"), 1)) == 1
    assert b"Authorization" not in camera.requests[0]
    with pytest.raises(CameraError, match="401") as caught:
        frames(camera.url(credentials="viewer:wr0ng@"), 1)
    assert "wr0ng" not in str(caught.value)
    with pytest.raises(CameraError, match="401"):
        frames(camera.url(), 1)


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_redirect_is_followed_without_the_password(serve: Serve, picture: bytes) -> None:
    demand = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="c"\r\n\r\n'
    other = serve(lambda request, to: to.sendall(demand if b"private" in request else STREAM + part(picture)))
    camera = serve(lambda _, to: to.sendall(redirect(other.url())))
    assert len(frames(camera.url(credentials="viewer:s3cret@"), 1)) == 1
    thief = serve(lambda _, to: to.sendall(redirect(other.url("/private"))))
    with pytest.raises(CameraError, match="401"):
        frames(thief.url(credentials="viewer:s3cret@"), 1)
    assert not any(b"Authorization" in request for request in other.requests)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "rtsp://h/x", "", "/x", "http://[x", "http:///x", "gopher://h/"])
def test_a_redirect_that_leads_nowhere_good_is_refused(serve: Serve, to: str) -> None:
    camera = serve(lambda _, connection: connection.sendall(redirect(to)))
    with pytest.raises(CameraError, match=r"redirects|no address"):
        frames(camera.url(), 1)


def test_nothing_can_be_smuggled_into_the_request(serve: Serve, picture: bytes) -> None:
    camera = serve(lambda _, to: to.sendall(STREAM + part(picture)))
    frames(camera.url("/a b\r\nX-Evil: 1\r\n\r\nGET /ä?q=\t"), 1)
    assert b"X-Evil: 1\r\n" not in camera.requests[0]
    assert camera.requests[0].count(b"\r\n\r\n") == 1


@contextlib.contextmanager
def memory_growth() -> Iterator[Callable[[], int]]:
    """How many KiB the process's memory grew at its peak since the beginning of the block."""

    def kib(field: str) -> int:
        return int(Path("/proc/self/status").read_text().partition(f"{field}:")[2].split()[0])

    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is used now
    before = kib("VmRSS")
    yield lambda: kib("VmHWM") - before


_PIECE = b"a" * 65536


def flood(to: socket.socket, piece: bytes) -> None:
    for _ in range(200 << 20 >> 16):
        to.sendall(piece)


def after(head: bytes, piece: bytes = _PIECE) -> Answer:
    """Send the head, then a flood."""

    def answer(_: bytes, to: socket.socket) -> None:
        to.sendall(head)
        flood(to, piece)

    return answer


HOSTILE: dict[str, tuple[Answer, str]] = {
    "endless status line": (after(b""), "no HTTP"),
    "endless header line": (after(b"HTTP/1.1 200 OK\r\nX: "), "no HTTP"),
    "endless headers": (after(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 9000), "no HTTP"),
    "endless preamble": (after(STREAM), "not divided by a boundary"),
    "no boundary": (after(STREAM, b"line\r\n" * 9000), "not divided by a boundary"),
    "endless part header": (after(STREAM + b"--next\r\nX: "), "header has more than 8192 bytes"),
    "endless part": (after(STREAM + b"--next\r\n\r\n"), "more than 16 MiB"),
    "huge part": (after(STREAM + b"--next\r\nContent-Length: 2000000000\r\n\r\n"), "more than 16 MiB"),
    "length of many digits": (
        after(STREAM + b"--next\r\nContent-Length: " + b"9" * 8000 + b"\r\n\r\n"),
        "length is no number",
    ),
    "huge single picture": (after(SNAPSHOT), "more than 16 MiB"),
    "endless chunk size": (
        after(STREAM[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
        "no HTTP|broke off",
    ),
    "nothing": (lambda _, to: None, "broke off|no HTTP"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_no_flood_takes_memory(serve: Serve, how: str) -> None:
    answer, said = HOSTILE[how]
    with memory_growth() as grown, pytest.raises(CameraError, match=said):
        frames(serve(answer).url(), 1)
    assert grown() < 80 << 10  # a flood has 200 MiB


def test_a_picture_that_claims_to_be_huge_is_not_made(serve: Serve, picture: bytes) -> None:
    at = picture.index(b"\xff\xc0")
    huge = picture[: at + 5] + b"\xff\xdc\xff\xdc" + picture[at + 9 :]  # 65500 x 65500
    camera = serve(lambda _, to: to.sendall(STREAM + part(huge) + part(picture)))
    with memory_growth() as grown, contextlib.closing(open_url(camera.url())) as source:
        assert source.read() is not None
        assert source.dropped == {"damaged": 1}
    assert grown() < 80 << 10


def test_nothing_but_broken_pictures_is_a_fault(serve: Serve) -> None:
    camera = serve(lambda _, to: to.sendall(STREAM + part(b"noise") * 200))
    with pytest.raises(CameraError, match="100 pictures in a row could not be decoded"):
        frames(camera.url(), 1)


def drip(head: bytes, done: threading.Event) -> Answer:
    def answer(_: bytes, to: socket.socket) -> None:
        to.sendall(head)
        while not done.wait(0.05):
            to.sendall(b"a")

    return answer


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", STREAM + b"--next\r\n\r\n", STREAM, SNAPSHOT])
def test_a_drip_is_given_up_in_time_and_let_go_of_at_once(
    serve: Serve, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "OPEN_SECONDS", 0.6)
    done = threading.Event()
    camera = serve(drip(head, done))
    try:
        with pytest.raises(CameraError, match="no answer in time"):
            frames(camera.url(), 1, stale_after=0.1)
        if head is not STREAM:
            return
        stop = threading.Event()
        source = open_source(CameraConfig(id="gate", source=camera.url(), stale_after=600), WANTED, stop)
        threading.Timer(0.05, stop.set).start()
        assert source.read() is None
        source.close()
    finally:
        done.set()


def test_the_kinds_are_told_apart_by_what_the_camera_says(serve: Serve, picture: bytes) -> None:
    stream = serve(lambda _, to: to.sendall(STREAM + part(picture)))
    single = serve(lambda _, to: to.sendall(SNAPSHOT + picture))
    for camera, kind in ((stream, MjpegSource), (single, SnapshotSource)):
        with contextlib.closing(open_url(camera.url())) as source:
            assert isinstance(source, kind)
    page = serve(lambda _, to: to.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"))
    with pytest.raises(CameraError, match=r"nothing that is a video|not written as|broke off"):
        frames(page.url(), 1)
    drawing = serve(lambda _, to: to.sendall(SNAPSHOT.replace(b"jpeg", b"svg+xml") + b"<svg/>"))
    with pytest.raises(CameraError, match="no JPEG picture"):
        frames(drawing.url(), 1)


def test_the_limit_of_a_picture_is_above_what_cameras_send() -> None:
    assert mjpeg.MOST_BYTES > 8 << 20
