"""What is written for Mosquitto says no more than was meant, and what cannot be said is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from contracts.errors import EdgetallyError, WrittenError
from contracts.topics import Channel, subscription
from fleet.broker.mosquitto import Listener, acl_file, config_file
from fleet.broker.rules import Users
from fleet.cli import app
from fleet.inventory.device import Device
from fleet.store.database import Database
from fleet.store.devices import DeviceStore, Told

FILES: dict[str, Any] = {"acl": Path("acl"), "certificate": Path("crt"), "key": Path("key")}


def cli(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["broker", *map(str, arguments)])
    if isinstance(done.exception, EdgetallyError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@given(st.text(max_size=200))
def test_no_name_becomes_a_rule_of_its_own(name: str) -> None:
    try:
        text = acl_file(Users((name,)), [])
    except WrittenError:
        return
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("user ")] == [f"user {name}"]
    assert len(lines) == len(acl_file(Users(("fleet",)), []).splitlines())


def test_every_rule_is_of_one_box_where_boxes_are_named_and_there_is_no_pattern() -> None:
    text = acl_file(Users(), ["box-1", "box-2"])
    assert "pattern" not in text
    first, second = text.split("user box-2\n")
    assert "box-2" not in first
    assert "box-1" not in second
    assert all(subscription(channel, device="box-1") in first for channel in Channel)


def test_without_home_assistant_nobody_gets_at_its_topics_and_with_two_prefixes_both_are_open() -> None:
    assert "config" not in acl_file(Users(prefixes=()))
    both = acl_file(Users(prefixes=("homeassistant", "ha/old")))
    assert "write homeassistant/device/%u/config" in both
    assert "write ha/old/device/%u/config" in both


def test_one_that_is_two_things_has_the_rights_of_both_once() -> None:
    rules = Users(("ops",), ("ops",), ("ops",)).rules()["ops"]
    assert len(rules) == len(set(rules))


def test_a_box_that_is_called_like_a_user_is_refused() -> None:
    with pytest.raises(WrittenError, match="'fleet' is a box and a user"):
        acl_file(Users(("fleet",)), ["box-1", "fleet"])


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({}, "got neither"),
        ({"client_ca": Path("ca"), "passwords": Path("p")}, "got both"),
        ({"passwords": Path("p"), "revoked": Path("r")}, "takes --client-ca"),
        ({"passwords": Path("p\nallow_anonymous true")}, "cannot stand in mosquitto.conf"),
        ({"passwords": Path("p"), "address": "::1\nlistener 1"}, "cannot stand in mosquitto.conf"),
    ],
)
def test_a_listener_that_makes_no_sense_or_would_say_more_is_refused(more: dict[str, Any], match: str) -> None:
    with pytest.raises(WrittenError, match=match):
        Listener(**FILES, **more)


def test_nobody_is_let_in_without_a_password_or_a_certificate() -> None:
    ways: list[dict[str, Any]] = [{"passwords": Path("p")}, {"client_ca": Path("ca"), "revoked": Path("r")}]
    for more in ways:
        lines = config_file(Listener(**FILES, **more)).splitlines()
        assert "allow_anonymous false" in lines
        assert ("password_file p" in lines) != ("require_certificate true" in lines)
        assert ("crlfile r" in lines) == ("revoked" in more)


def test_boxes_are_named_in_a_file_or_by_a_query(tmp_path: Path) -> None:
    names = tmp_path / "boxes"
    names.write_text("# ours\nbox-1\n\n box-2 \nbox-1\n")
    text = cli("acl", "--controller", "fleet", "--users", names)
    assert [line for line in text.splitlines() if line.startswith("user ")] == [
        "user fleet",
        "user box-1",
        "user box-2",
    ]
    database = Database(str(tmp_path / "fleet.db"), make=True)
    told = [Told(Device(device=name, labels={"site": name}), 1, 1, seen=True) for name in ("north", "south")]
    DeviceStore(database).change(["north", "south"], lambda _: told)
    database.close()
    out = tmp_path / "acl"
    cli("acl", "--controller", "fleet", "--devices", "site=north", "-d", tmp_path / "fleet.db", "--out", out)
    assert "user north" in out.read_text()
    assert "south" not in out.read_text()


@pytest.mark.parametrize("line", ["Box 1", "box-1/status", "+", "a" * 65])
def test_a_line_that_is_no_box_id_is_refused(tmp_path: Path, line: str) -> None:
    names = tmp_path / "boxes"
    names.write_text(f"box-1\n{line}\n")
    with pytest.raises(WrittenError, match="device id should be"):
        cli("acl", "--controller", "fleet", "--users", names)


def test_a_prefix_that_home_assistant_cannot_have_is_refused() -> None:
    with pytest.raises(EdgetallyError, match="prefix"):
        cli("acl", "--controller", "fleet", "--prefix", "a\nuser x")


def test_what_has_to_be_done_with_a_file_is_told(tmp_path: Path) -> None:
    assert "SIGHUP" in cli("acl", "--controller", "fleet", "--out", tmp_path / "acl")
    files = ("--acl", "acl", "--certificate", "crt", "--key", "key", "--client-ca", "ca")
    assert "restart the broker" in cli("config", *files, "--out", tmp_path / "conf")
