"""Invitations from flags, from a file, from a stick, and from a QR code before a camera."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.provisioning.board import board_serial
from agent.provisioning.qr import read_code
from agent.provisioning.sources import Flags, named, of_file, of_flags, on_stick
from contracts.config import CameraConfig
from contracts.enrolment import Invitation
from contracts.errors import CameraError, DocumentError, WrittenError
from fleet.cli import app as fleet
from tests.unit.contracts.test_enrolment import GOOD, TOKEN, invitation

LINES = "".join(f'{key} = "{value}"\n' for key, value in GOOD.items())


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "user/stick").mkdir(parents=True)
    (tmp_path / "user/stick/provisioning.toml").write_text(LINES)
    return tmp_path / "user/stick"


def test_flags_and_file_and_stick_say_the_same(stick: Path) -> None:
    expected = invitation()
    assert of_flags(Flags(GOOD["server"], TOKEN, GOOD["ca"], GOOD["name"])) == expected
    assert of_file(stick / "provisioning.toml", Flags()) == expected
    assert on_stick(stick) == on_stick(stick.parent) == on_stick(stick.parent.parent) == stick / "provisioning.toml"


def test_one_file_does_for_many_boxes_each_with_a_name_of_its_own(stick: Path) -> None:
    assert of_file(stick / "provisioning.toml", Flags(name="gate-2")).name == "gate-2"
    with pytest.raises(WrittenError, match="leave out --server and --token"):
        of_file(stick / "provisioning.toml", Flags(server="https://other.example", token=TOKEN))
    with pytest.raises(DocumentError, match=r"'name' should be 1 to 64"):
        named(invitation(), Flags(name="Gate 2"))


def test_without_an_invitation_it_is_said_how_to_get_one() -> None:
    with pytest.raises(WrittenError, match="`edgetally-fleet enrol token create` makes one"):
        of_flags(Flags(server="https://fleet.example"))


def test_a_stick_without_a_file_and_two_sticks_are_said(stick: Path) -> None:
    with pytest.raises(WrittenError, match="is it mounted"):
        on_stick(stick.parent / "nothing")
    other = stick.parent / "other"
    other.mkdir()
    (other / "provisioning.toml").write_text(LINES)
    with pytest.raises(WrittenError, match="give one with --file"):
        on_stick(stick.parent)


def test_nothing_on_a_stick_leads_elsewhere_or_holds_the_box_up(stick: Path) -> None:
    secret = stick.parent / "shadow"
    secret.write_text("root:x")
    (stick / "link.toml").symlink_to(secret)
    with pytest.raises(WrittenError, match=r"link\.toml cannot be read"):
        of_file(stick / "link.toml", Flags())
    os.mkfifo(stick / "pipe.toml")
    with pytest.raises(WrittenError, match="expected an ordinary file"):
        of_file(stick / "pipe.toml", Flags())
    (stick / "large.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(WrittenError, match="at most 65536 bytes"):
        of_file(stick / "large.toml", Flags())


@pytest.mark.parametrize("data", [b"\xff", b"server = ", b'server = "x"\nother = 1\n', b"[token]\n"])
def test_a_file_that_is_no_invitation_is_refused(stick: Path, data: bytes) -> None:
    (stick / "bad.toml").write_bytes(data)
    with pytest.raises(DocumentError):
        of_file(stick / "bad.toml", Flags())


def a_camera(folder: Path) -> CameraConfig:
    return CameraConfig(id="qr", source=str(folder))


def test_the_code_that_the_fleet_makes_is_read_by_a_camera(stick: Path, tmp_path: Path) -> None:
    pytest.importorskip("zxingcpp")
    pytest.importorskip("segno")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    done = CliRunner().invoke(
        fleet, ["enrol", "qr", str(stick / "provisioning.toml"), "--png", str(pictures / "code.png")]
    )
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE((pictures / "code.png").stat().st_mode) == 0o600
    assert read_code(a_camera(pictures), 30.0) == invitation()
    shown = CliRunner().invoke(fleet, ["enrol", "qr", str(stick / "provisioning.toml")]).output
    assert TOKEN not in shown
    assert shown.count("\n") > 20


def test_other_codes_are_passed_over_and_a_spoiled_one_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="what writes the pictures makes networks too")
    from tests.integration.squares import write_pictures

    pictures = write_pictures(tmp_path / "road")
    seen = iter([["https://example.com"], ["edgetally://fleet.example?token=x"]])
    with pytest.raises(
        WrittenError, match="saw no invitation in 30 s; one was seen that is none: the QR code"
    ) as error:
        read_code(a_camera(pictures), 30.0, lambda _: iter(next(seen, [])))
    assert "token" in str(error.value)
    good: Invitation = invitation()
    seen = iter([["https://example.com"], [good.text()]])
    assert read_code(a_camera(pictures), 30.0, lambda _: iter(next(seen, []))) == good


def test_a_camera_that_is_not_there_is_said() -> None:
    with pytest.raises(CameraError):
        read_code(CameraConfig(id="qr", source="/dev/video97"), 1.0, lambda _: iter(()))


@pytest.mark.parametrize(
    ("files", "serial"),
    [
        ({}, None),
        ({"proc/device-tree/serial-number": "1423122040017\0"}, "1423122040017"),
        ({"sys/class/dmi/id/product_serial": "To Be Filled By O.E.M.\n"}, None),
        ({"sys/class/dmi/id/product_serial": "Default string", "sys/class/dmi/id/board_serial": "AB12"}, "AB12"),
        ({"sys/class/dmi/id/product_serial": "0000"}, None),
        ({"sys/class/dmi/id/product_serial": "\x1b[2J"}, None),
    ],
)
def test_a_boards_serial_number_is_what_its_maker_gave_it(
    files: dict[str, str], serial: str | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert board_serial(tmp_path) == serial
