"""edgetally-fleet user, token and console as a person runs them."""

from __future__ import annotations

import getpass
import io
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contracts.errors import WrittenError
from fleet.access.passwords import BusyError, Passwords
from fleet.cli import main
from fleet.console.server import listening
from tests.unit.fleet.console.consoles import QUICK

PASSWORD = "correct horse battery"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Runs commands on a database in a folder of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capsys, self._patch = capsys, patch

    def __call__(self, *arguments: str) -> Ran:
        self._patch.setattr(sys, "argv", ["edgetally-fleet", *arguments])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self._capsys.readouterr()
        assert PASSWORD not in printed.out + printed.err
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, printed.out, printed.err)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").out)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("EDGETALLY_FLEET_DATABASE", "fleet.db")
    monkeypatch.setattr("fleet.access.passwords.Passwords", lambda: QUICK)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return Shell(capsys, monkeypatch)


@pytest.fixture
def ready(shell: Shell) -> Shell:
    assert shell("user", "add", "ada", "--role", "admin", "--password-file", "password").code == 0
    return shell


def test_from_the_first_user_to_the_last(ready: Shell) -> None:
    assert ready("user", "add", "vera", "--password-file", "password").out == "vera is a user, as viewer\n"
    rows = ready.json("user", "list")
    assert [(row["name"], row["role"], row["disabled"]) for row in rows] == [
        ("ada", "admin", False),
        ("vera", "viewer", False),
    ]
    assert ready("user", "role", "vera", "operator").out == "vera is operator\n"
    assert ready("user", "disable", "vera").out == "vera is disabled\n"
    assert "vera  operator  disabled" in ready("user", "list").out
    assert ready("user", "disable", "vera", "--enable").code == 0
    assert ready("user", "password", "vera", "--password-file", "password").code == 0
    assert ready("user", "remove", "vera").code == 0
    assert len(ready.json("user", "list")) == 1


def test_the_password_is_asked_for_twice_on_a_terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed = [PASSWORD, "something else", PASSWORD, PASSWORD]
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda _: typed.pop(0))
    assert "differs from the first" in shell("user", "add", "ada").err
    assert shell("user", "add", "ada").code == 0


def test_the_password_may_come_by_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert shell("user", "add", "ada", "--password-file", "-").code == 0
    assert "--password-file" in shell("user", "password", "ada").err


def test_tokens_are_shown_once_and_listed_without_themselves(ready: Shell) -> None:
    made = ready("token", "add", "ada", "--title", "prometheus", "--scope", "read")
    text = made.out.strip()
    assert text.startswith("edgetally_")
    (row,) = ready.json("token", "list")
    assert (row["user"], row["title"], row["scopes"], row["used"]) == ("ada", "prometheus", ["read"], None)
    assert text not in ready("token", "list").out
    other = ready.json("token", "add", "ada", "--title", "x", "-s", "config", "-s", "read")
    assert other["scopes"] == ["read", "config"]
    assert ready("token", "revoke", row["id"]).code == 0
    assert row["id"] not in ready("token", "list").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["user", "add", "Ada", "--password-file", "password"], "a user's name should be"),
        (["user", "add", "eve", "--role", "amdin", "--password-file", "password"], "did you mean 'admin'"),
        (["user", "add", "ada", "--password-file", "password"], "there is a user 'ada' already"),
        (["user", "add", "eve", "--password-file", "nowhere"], "No such file"),
        (["user", "add", "eve", "--password-file", "short"], "12 to 256 characters, this one has 5"),
        (["user", "disable", "ada"], "only admin"),
        (["user", "remove", "adda"], "did you mean 'ada'"),
        (["token", "add", "ada", "--title", "x", "--scope", "reed"], "did you mean 'read'"),
        (["token", "revoke", "0a1b"], "unknown token '0a1b'"),
        (["user", "list", "--database", "nowhere.db"], "there is no such file"),
        (["console", "--listen", "nowhere"], "should be HOST:PORT"),
        (["console", "--listen", "0.0.0.0:1"], "in the clear"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(ready: Shell, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "short").write_text("short")
    ran = ready(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert said in ran.err


@pytest.mark.parametrize(
    "command",
    [["user", word] for word in ("add", "list", "disable", "role", "password", "remove")]
    + [["token", word] for word in ("add", "list", "revoke")]
    + [["console"]],
)
def test_help_has_an_example(shell: Shell, command: list[str]) -> None:
    assert "Example: edgetally-fleet" in shell(*command, "--help").out.replace("`", "")


def test_it_listens_only_where_no_password_goes_in_the_clear() -> None:
    pem = Path("x.pem")
    assert listening("127.0.0.1:8090", None, None, (), metrics_open=True).loopback
    assert listening("[::1]:8090", None, None, (), metrics_open=False).host == "::1"
    assert listening("localhost:0", None, None, (), metrics_open=False).loopback
    assert not listening("0.0.0.0:443", pem, pem, (), metrics_open=False).loopback
    assert listening("10.0.0.2:8090", None, None, ("10.0.0.1",), metrics_open=False).proxies == ("10.0.0.1",)
    for address, certificate, proxies, is_open in (
        ("10.0.0.2:8090", None, (), False),
        ("0.0.0.0:8090", None, (), False),
        ("fleet.example:8090", None, (), False),
        ("127.0.0.1:8090", pem, (), False),
        ("127.0.0.1:8090", None, ("proxy",), False),
        ("127.0.0.1:8090", None, ("127.0.0.1",), True),
        ("127.0.0.1:70000", None, (), False),
        (":8090", None, (), False),
    ):
        with pytest.raises(WrittenError):
            listening(address, certificate, None, proxies, metrics_open=is_open)


def test_passwords_are_salted_and_compared() -> None:
    first, second = QUICK.hash(PASSWORD), QUICK.hash(PASSWORD)
    assert first != second
    assert first.startswith("$argon2id$")
    assert QUICK.matches(first, PASSWORD)
    assert not QUICK.matches(first, PASSWORD + "x")
    assert not QUICK.matches(None, PASSWORD)
    assert not QUICK.matches("no hash at all", PASSWORD)
    assert not QUICK.matches(None, "of nobody"), "what unknown users are compared with lets nobody in"


def test_only_so_many_passwords_wait_to_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(QUICK._hasher)
    monkeypatch.setattr(passwords, "_waiting", 8)
    with pytest.raises(BusyError):
        passwords.matches(None, PASSWORD)


def test_the_commands_of_the_page_work_as_they_are_written(shell: Shell) -> None:
    page = (Path(__file__).parents[4] / "docs/console.md").read_text()
    commands = [line for line in page.splitlines() if re.match("edgetally-fleet (user|token) ", line)]
    assert len(commands) == 10
    for command in commands:
        arguments = shlex.split(command, comments=True)[1:]
        if arguments[1] in {"add", "password"} and arguments[0] == "user":
            arguments += ["--password-file", "password"]
        if arguments[1] == "revoke":
            arguments[2] = shell.json("token", "list", "--database", "fleet.db")[0]["id"]
        ran = shell(*arguments)
        assert ran.code == 0, (command, ran.err)
