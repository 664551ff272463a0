"""The console as a process: first start, behind nginx with TLS, several on one database, on PostgreSQL."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fleet.access.errors import ConflictError
from fleet.store.database import Database
from fleet.store.tokens import TokenStore
from fleet.store.users import UserStore
from tests.integration.brokers import Authority, free_port
from tests.integration.consoles import AUTHOR, PASSWORD, ROOT, Program, add_users, console
from tests.integration.nginx import Tls, nginx
from tests.integration.postgres import postgres


def test_the_first_start_says_how_to_make_the_first_admin_and_then_lets_them_in(tmp_path: Path) -> None:
    address = str(tmp_path / "fleet.db")
    with console(tmp_path, address) as running:
        command = "edgetally-fleet user add NAME --role admin"
        assert running.logged(f"{command} --database sqlite:///{address}")
        assert Program(running.url).ask("GET", "/")[0] == 503
        assert command in Program(running.url).ask("POST", "/login", {"name": "a", "password": "b"})[1]
        add = [sys.executable, "-m", "fleet.cli", "user", "add", "ada", "--role", "admin", "--password-file", "-"]
        subprocess.run([*add, "-d", address], input=PASSWORD, text=True, cwd=ROOT, check=True, capture_output=True)
        program = Program(running.url)
        assert program.ask("POST", "/login", {"name": "ada", "password": PASSWORD})[0] == 303
        assert program.ask("GET", "/users")[0] == 200


def configuration() -> list[str]:
    """The lines of the page's server block, as a person would copy them."""
    page = (ROOT / "docs/console.md").read_text()
    (block,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    inside = block[block.index("{") + 1 : block.rindex("}")]
    own = ("listen ", "server_name ", "ssl_certificate")
    return [line.strip() for line in inside.splitlines() if line.strip() and not line.strip().startswith(own)]


def test_behind_nginx_as_the_page_says(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    certificate, key = authority.issue("localhost")
    database = Database(str(tmp_path / "fleet.db"))
    add_users(database, ada="admin")
    lines = [line.replace("127.0.0.1:8090", f"127.0.0.1:{port}") for line in configuration()]
    options = ("--proxy", "127.0.0.1", "--host", "localhost")
    with (
        console(tmp_path, str(tmp_path / "fleet.db"), *options, port=port) as running,
        nginx(tmp_path, Tls(certificate, key), lines) as url,
    ):
        program = Program(url, ssl.create_default_context(cafile=authority.certificate))
        origin = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        assert program.ask("POST", "/login", {"name": "ada", "password": PASSWORD}, origin)[0] == 303
        assert program.set_cookie.startswith("__Host-edgetally_fleet=")
        assert "Secure" in program.set_cookie
        form = {"role": "admin", "csrf": program.csrf()}
        assert program.ask("POST", "/users/ada", form, origin)[0] == 409
        assert program.ask("POST", "/users/ada", form, {"Origin": "https://evil.example"})[0] == 403
        assert program.ask("GET", "/", headers={"Host": "evil.example"})[0] == 421
        forged = {"X-Forwarded-For": "203.0.113.9"}
        stranger = Program(url, program.context)
        with running.logs("could not sign in from 127.0.0.1"):
            stranger.ask("POST", "/login", {"name": "ada", "password": "guess"}, forged)
    database.close()


def test_what_a_stranger_says_of_the_address_is_not_believed_without_a_proxy(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    add_users(database, ada="admin")
    with console(tmp_path, str(tmp_path / "fleet.db")) as running:
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        with running.logs("'ada' could not sign in from 127.0.0.1"):
            Program(running.url).ask("POST", "/login", {"name": "ada", "password": "guess"}, forged)
    database.close()


def test_sessions_hold_on_every_console_of_a_database_and_over_restarts(tmp_path: Path) -> None:
    with postgres() as address:
        database = Database(address)
        add_users(database, ada="admin", vera="viewer")
        with console(tmp_path, address) as first, console(tmp_path, address) as second:
            program = Program(first.url)
            assert program.ask("POST", "/login", {"name": "vera", "password": PASSWORD})[0] == 303
            program.url = second.url
            assert program.ask("GET", "/api/v1/me")[0] == 200
            _, token = TokenStore(database).add("ada", "t", ("read", "admin"), AUTHOR, 0, 2**53)
            bearer = {"Authorization": f"Bearer {token}"}
            for path in ("/api/v1/overview", "/api/v1/devices", "/api/v1/audit", "/api/v1/users", "/metrics", "/"):
                assert Program(first.url).ask("GET", path, headers=bearer)[0] == 200, path
        with console(tmp_path, address) as third:
            program.url = third.url
            assert program.ask("GET", "/api/v1/me")[0] == 200
            UserStore(database).change("vera", AUTHOR, 1, disabled=True)
            assert program.ask("GET", "/api/v1/me")[0] == 401
        database.close()


def test_an_address_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    database.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "fleet.cli", "console", "--listen", where, "-d", str(tmp_path / "fleet.db")]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "the address is in use; choose another --listen" in ran.stderr


@pytest.mark.parametrize(
    "bad", [b"\xff" * 50_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n", b"\0\r\n\r\n"]
)
def test_bytes_that_are_no_http_end_their_own_connection_only(tmp_path: Path, bad: bytes) -> None:
    database = Database(str(tmp_path / "fleet.db"))
    add_users(database, ada="admin")
    with console(tmp_path, str(tmp_path / "fleet.db")) as running:
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            connection.sendall(bad)
            while connection.recv(65_536):
                pass
        assert Program(running.url).ask("GET", "/login")[0] == 200
    database.close()


def test_of_two_admins_who_disable_each_other_at_once_one_stays_on_postgresql(tmp_path: Path) -> None:
    with postgres() as address:
        databases = [Database(address) for _ in range(2)]
        add_users(databases[0], ada="admin", eve="admin")
        for _ in range(20):
            ready, said = threading.Barrier(2), list[str]()

            def disable(database: Database, name: str, ready: threading.Barrier, said: list[str]) -> None:
                ready.wait()
                try:
                    UserStore(database).change(name, AUTHOR, 1, disabled=True)
                    said.append("done")
                except ConflictError:
                    said.append("refused")

            pairs = zip(databases, ("ada", "eve"), strict=True)
            threads = [threading.Thread(target=disable, args=(*pair, ready, said)) for pair in pairs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(said) == ["done", "refused"]
            (gone,) = [user.name for user in UserStore(databases[0]).all() if user.disabled]
            UserStore(databases[0]).change(gone, AUTHOR, 2, disabled=False)
        for database in databases:
            database.close()
