"""Fetching from real web servers: resumed over restarts of either side, mirrored, encrypted, slow."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from agent.update.errors import UpdateStoppedError, UpdateWaitsError
from agent.update.fetch.http import HttpTransport
from agent.update.fetch.web import Limits
from agent.update.shelf_disk import ShelfDisk
from contracts.errors import NotThereError, ServerError
from contracts.update_config import UpdateConfig
from tests.integration.brokers import Authority, free_port
from tests.integration.nginx import Tls, nginx
from tests.unit.agent.update.shelves import Box, blob, download, served

DATA = os.urandom(3_000_000)
SMALL = os.urandom(20_000)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def repository(folder: Path, *files: bytes) -> Path:
    for path, data in served(*files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def box(folder: Path, *servers: str, **config: object) -> Box:
    settings = UpdateConfig.model_validate({"server": servers, **config})
    return Box(ShelfDisk(folder / "update"), HttpTransport(settings, Limits(connect=5, silence=10)))


def after(count: int) -> Callable[[], bool]:
    """True from that many questions on: within a file, for it is asked before every chunk."""
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > count

    return stopped


SLOW = ("limit_rate 400k;",)  # so that it is ended within a file


def once_after(count: int, work: Callable[[], object]) -> Callable[[], bool]:
    """Does something within a file, and never stops it."""
    reached = after(count)
    done: list[object] = []

    def stopped() -> bool:
        if not done and reached():
            done.append(work())
        return False

    return stopped


def end(server: AbstractContextManager[str]) -> Callable[[], object]:
    return lambda: server.__exit__(None, None, None)


def test_files_come_onto_the_shelf(tmp_path: Path) -> None:
    with nginx(repository(tmp_path / "repo", DATA, SMALL)) as url:
        there = box(tmp_path, f"{url}/")
        there.fetch(SMALL, DATA)
    assert there.shelf.path(blob(DATA).sha256).read_bytes() == DATA
    assert there.shelf.path(blob(SMALL).sha256).read_bytes() == SMALL


def test_after_a_stop_only_the_rest_is_fetched(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    lines = (f'access_log "{log}";',)
    with nginx(repository(tmp_path / "repo", DATA), lines=lines) as url:
        there = box(tmp_path, url)
        with pytest.raises(UpdateStoppedError):
            there.fetch(DATA, stopped=after(40))
        later = box(tmp_path, url)
        later.fetch(DATA)
        assert later.shelf.holds(blob(DATA))
    first, second = (line.split('"')[2].split()[0] for line in log.read_text().splitlines())
    assert (first, second) == ("200", "206")


def test_a_file_that_was_replaced_in_between_comes_whole(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    wrong = repository(tmp_path / "repo", DATA) / download(DATA).path
    wrong.write_bytes(DATA[::-1])
    os.utime(wrong, (1, 1))
    with nginx(tmp_path / "repo", lines=(f'access_log "{log}";',)) as url:
        with pytest.raises(UpdateStoppedError):
            box(tmp_path, url).fetch(DATA, stopped=after(40))
        wrong.write_bytes(DATA)  # what was begun is not of this file, and nginx' ETag says so
        later = box(tmp_path, url)
        later.fetch(DATA)
        assert later.shelf.holds(blob(DATA))
    assert [line.split('"')[2].split()[0] for line in log.read_text().splitlines()] == ["200", "200"]


def test_a_server_that_is_ended_within_a_file_and_started_again_is_gone_on_with(tmp_path: Path) -> None:
    port = free_port()
    folder = repository(tmp_path / "repo", DATA)
    server = nginx(folder, lines=SLOW, port=port)
    server.__enter__()
    with pytest.raises(UpdateWaitsError) as caught:
        box(tmp_path, f"http://127.0.0.1:{port}").fetch(DATA, stopped=once_after(40, end(server)))
    assert caught.value.code == "server_unreachable"
    log = tmp_path / "access.log"
    with nginx(folder, port=port, lines=(f'access_log "{log}";',)):
        later = box(tmp_path, f"http://127.0.0.1:{port}")
        later.fetch(DATA)
    assert later.shelf.holds(blob(DATA))
    assert " 206 " in log.read_text()


def test_the_next_mirror_takes_over_within_a_file(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", DATA)
    log = tmp_path / "access.log"
    first = nginx(folder, lines=SLOW)
    with nginx(folder, lines=(f'access_log "{log}";',)) as second:
        there = box(tmp_path, first.__enter__(), second)
        there.fetch(DATA, stopped=once_after(40, end(first)))
    assert there.shelf.holds(blob(DATA))
    assert " 206 " in log.read_text()


def test_a_mirror_that_lacks_a_file_is_passed_over(tmp_path: Path) -> None:
    with nginx(repository(tmp_path / "behind", SMALL)) as first, nginx(repository(tmp_path / "all", DATA)) as second:
        there = box(tmp_path, first, second)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))


def test_what_nobody_has_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    with nginx(tmp_path / "repo") as url, pytest.raises(NotThereError):
        HttpTransport(UpdateConfig(server=(url,))).open("metadata/2.root.json")


def test_a_server_without_ranges_begins_anew(tmp_path: Path) -> None:
    with nginx(repository(tmp_path / "repo", DATA), lines=("max_ranges 0;",)) as url:
        with pytest.raises(UpdateStoppedError):
            box(tmp_path, url).fetch(DATA, stopped=after(40))
        later = box(tmp_path, url)
        later.fetch(DATA)
        assert later.shelf.holds(blob(DATA))


def test_a_server_that_compresses_is_not_asked_to(tmp_path: Path) -> None:
    text = b"compressible " * 10_000
    with nginx(repository(tmp_path / "repo", text), lines=("gzip on;", "gzip_types *;", "gzip_min_length 1;")) as url:
        there = box(tmp_path, url)
        there.fetch(text)
        assert there.shelf.holds(blob(text))


def test_a_link_of_64_kbit_is_slow_and_not_broken(tmp_path: Path) -> None:
    with nginx(repository(tmp_path / "repo", SMALL), lines=("limit_rate 8k;", "output_buffers 1 1k;")) as url:
        there = box(tmp_path, url)
        there.fetch(SMALL)
        assert there.shelf.holds(blob(SMALL))


def test_https_with_an_authority_and_a_client_certificate_of_the_boxes_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    mine, my_key = authority.issue("box", subject="box-1")
    folder = repository(tmp_path / "repo", DATA)
    known = {"ca": str(authority.certificate), "certificate": str(mine), "key": str(my_key)}
    with nginx(folder, Tls(certificate, key, clients=authority.certificate)) as url:
        there = box(tmp_path, url, **known)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
        with pytest.raises(UpdateWaitsError, match="HTTP 400"):
            box(tmp_path / "stranger", url, ca=str(authority.certificate)).fetch(DATA)
        with pytest.raises(UpdateWaitsError, match="certificate verify failed") as caught:
            box(tmp_path / "doubting", url).fetch(DATA)
    assert caught.value.code == "server_unreachable"


@pytest.mark.parametrize(
    ("subject", "days", "said"), [("localhost", -1, "certificate has expired"), ("other.example", 2, "mismatch")]
)
def test_a_certificate_that_expired_or_is_anothers_is_refused(
    tmp_path: Path, subject: str, days: int, said: str
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", subject=subject, days=days)
    folder = repository(tmp_path / "repo", DATA)
    with nginx(folder, Tls(certificate, key)) as url, pytest.raises(UpdateWaitsError, match=said):
        box(tmp_path, url, ca=str(authority.certificate)).fetch(DATA)


def test_a_cdn_is_followed_to_and_not_shown_the_boxes_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.update.fetch.redirects._is_inside", lambda host: False)  # both stand on loopback here
    authority = Authority(tmp_path)
    server = Tls(*authority.issue("server"), clients=authority.certificate)
    cdn = Tls(*authority.issue("cdn"))
    mine, my_key = authority.issue("box", subject="box-1")
    known = {"ca": str(authority.certificate), "certificate": str(mine), "key": str(my_key)}
    log = tmp_path / "cdn.log"
    (tmp_path / "empty").mkdir()
    asks = (
        f'ssl_client_certificate "{authority.certificate}";',
        "ssl_verify_client optional;",
        'if ($ssl_client_verify = "SUCCESS") { return 403; }',
        f'access_log "{log}";',
    )
    port = free_port()
    away = (f"return 302 https://localhost:{port}$request_uri;",)
    folder = repository(tmp_path / "repo", DATA)
    with nginx(folder, cdn, lines=asks, port=port), nginx(tmp_path / "empty", server, lines=away) as url:
        there = box(tmp_path, url, **known)
        there.fetch(DATA)
        assert there.shelf.holds(blob(DATA))
    assert log.read_text().count(" 200 ") == 1


def test_an_unencrypted_place_is_not_followed_to_from_an_encrypted_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    (tmp_path / "empty").mkdir()
    with nginx(repository(tmp_path / "repo", DATA)) as plain:
        lines = (f"return 301 {plain}$request_uri;",)
        with (
            nginx(tmp_path / "empty", Tls(certificate, key), lines=lines) as url,
            pytest.raises(UpdateWaitsError, match="a redirect to https"),
        ):
            box(tmp_path, url, ca=str(authority.certificate)).fetch(DATA)


@pytest.mark.parametrize("what", ["ca", "certificate"])
def test_a_file_of_the_configuration_that_cannot_be_used_is_named(tmp_path: Path, what: str) -> None:
    (tmp_path / "no.pem").write_text("nonsense")
    path = str(tmp_path / "no.pem")
    config = {"ca": path} if what == "ca" else {"certificate": path, "key": path}
    settings = UpdateConfig.model_validate({"server": ["https://127.0.0.1:9"], **config})
    with pytest.raises(ServerError, match=f"'update.{what}' {path}"):
        HttpTransport(settings).open("metadata/timestamp.json")
