"""edgetally-agent provision and renew: the box's identity."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.documents import read_document
from contracts.errors import EdgetallyError, RuntimeMissingError, WrittenError

if TYPE_CHECKING:
    from agent.provisioning.identity import Provisioned
    from agent.provisioning.provision import Done
    from agent.provisioning.sources import Flags
    from contracts.config import CameraConfig
    from contracts.enrolment import Invitation

Config = Annotated[Path, typer.Option("--config", "-c", help="agent.toml, which need not be there yet.")]
StateDir = Annotated[str | None, typer.Option(help="Instead of the file's `state_dir`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_CONFIG = Path("/etc/edgetally/agent.toml")
_LARGEST_TOKEN = 1_000  # characters


def provision(
    server: Annotated[str | None, typer.Option(help="Of the fleet.", metavar="https://HOST[:PORT]")] = None,
    token: Annotated[
        str | None, typer.Option(help="That lets this box in; - reads it from standard input, where nobody sees it.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File that holds the token.")] = None,
    ca: Annotated[
        str | None,
        typer.Option(
            help="SHA-256 of who signed the server's certificate (`edgetally-fleet ca show`); none: the system's."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="That this box is to have; none: the server chooses.")] = None,
    file: Annotated[Path | None, typer.Option(help="provisioning.toml, which holds all of these.")] = None,
    usb: Annotated[
        Path | None, typer.Option(help="A stick's folder, or that in which sticks are mounted: its provisioning.toml.")
    ] = None,
    qr: Annotated[bool, typer.Option("--qr", help="A QR code that is held before the camera.")] = False,
    camera: Annotated[
        str | None, typer.Option(help="Which one. Default: the first of agent.toml, else /dev/video0.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long a QR code is waited for.")] = 60.0,
    config: Config = _CONFIG,
    state_dir: StateDir = None,
    again: Annotated[bool, typer.Option("--again", help="Also where it is provisioned: become another box.")] = False,
    as_json: Json = False,
) -> None:
    """Give this box its identity: a key that never leaves it, a certificate, the broker, and whom it trusts.

    Killed or cut short, the same command goes on; on a box that is provisioned it does nothing.

    Examples: `edgetally-agent provision --server https://fleet.example:8443 --ca 3f… --token -` ·
    `edgetally-agent provision --usb /media` · `edgetally-agent provision --qr --camera /dev/video0`
    """
    _check_extra()
    from agent.provisioning.sources import Flags

    flags = Flags(server, _token(token, token_file), ca, name)
    invitation = _invitation(flags, file, usb, _camera(config, camera) if qr else None, seconds)
    from agent.provisioning.board import board_serial
    from agent.provisioning.folder import IdentityFolder
    from agent.provisioning.provision import provision as provision_box
    from agent.provisioning.web import HttpsServer

    folder = IdentityFolder(_state_dir(config, state_dir))
    answering = HttpsServer(invitation.server, invitation.ca)
    done = provision_box(folder, invitation, board_serial(), answering, again=again)
    if as_json:
        typer.echo(json.dumps(_document(done.record)))
        return
    for line in _lines(done, config, state_dir):
        typer.echo(line)


def renew(
    config: Config = _CONFIG,
    state_dir: StateDir = None,
    always: Annotated[bool, typer.Option("--always", help="Also where there is time yet.")] = False,
    as_json: Json = False,
) -> None:
    """Get this box its next certificate once half of the time of its own is over; for a timer, once a day.

    A running agent takes it with its next connection to the broker.

    Example: `edgetally-agent renew`
    """
    _check_extra()
    from agent.provisioning.errors import ProvisionedError
    from agent.provisioning.folder import IdentityFolder
    from agent.provisioning.provision import is_due
    from agent.provisioning.provision import renew as renew_certificate
    from agent.provisioning.web import HttpsServer

    folder = IdentityFolder(_state_dir(config, state_dir))
    record = folder.provisioned
    if record is None:
        raise ProvisionedError("this box has no identity yet; run `edgetally-agent provision`")
    due = always or is_due(folder, record, datetime.now(timezone.utc))
    if due:
        record = renew_certificate(folder, record, HttpsServer(record.server, record.ca))
    if as_json:
        typer.echo(json.dumps({**_document(record), "renewed": due}))
    else:
        typer.echo(f"{record.device}: certificate until {record.expires.date()}{'' if due else ', there is time yet'}")


def _token(given: str | None, file: Path | None) -> str | None:
    if given is not None and file is not None:
        raise WrittenError("give --token or --token-file, not both")
    if given == "-":
        if sys.stdin.isatty():
            typer.echo("paste the token, and press Enter:", err=True)
        return sys.stdin.readline(_LARGEST_TOKEN).strip()
    if file is not None:
        try:
            with file.open(encoding="utf-8") as opened:
                return opened.read(_LARGEST_TOKEN).strip()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "no UTF-8"
            raise WrittenError(f"--token-file {file} cannot be read: {said}") from error
    if given is not None:
        typer.echo("note: others on this box may read the token in the list of processes; --token - hides it", err=True)
    return given


def _invitation(
    flags: Flags, file: Path | None, usb: Path | None, camera: CameraConfig | None, seconds: float
) -> Invitation:
    from agent.provisioning import sources

    if sum(one is not None for one in (file, usb, camera)) > 1:
        raise WrittenError("give one of --file, --usb and --qr")
    if camera is not None:
        from agent.provisioning.qr import read_code

        typer.echo(f"waiting for a QR code before camera {camera.id}, {seconds:.0f} s", err=True)
        return sources.named(read_code(camera, seconds), flags)
    found = sources.on_stick(usb) if usb is not None else file
    return sources.of_flags(flags) if found is None else sources.of_file(found, flags)


def _camera(config: Path, source: str | None) -> CameraConfig:
    """The camera before which a code is held."""
    from contracts.config import CameraConfig
    from runtime.documents import load_toml

    rows = load_toml(config).get("camera") if config.exists() and source is None else None
    row = rows[0] if isinstance(rows, list) and rows else {"id": "qr", "source": source or "/dev/video0"}
    return read_document(CameraConfig, row, str(config) if rows else "--camera")


def _state_dir(config: Path, flag: str | None) -> Path:
    from agent.settings import state_dir_of
    from runtime.documents import load_toml

    return state_dir_of(load_toml(config) if config.exists() else {}, {"state_dir": flag})


def _check_extra() -> None:
    try:
        import cryptography  # noqa: F401
        import urllib3  # noqa: F401
    except ImportError as error:
        raise RuntimeMissingError("provisioning", error.name or "cryptography", "provision") from error


def _document(record: Provisioned) -> dict[str, object]:
    return {
        "device": record.device,
        "server": record.server,
        "broker": f"{record.broker_host}:{record.broker_port}",
        "expires": record.expires.isoformat(),
    }


def _lines(done: Done, config: Path, state_dir: str | None) -> list[str]:
    record = done.record
    broker = f"{record.broker_host}:{record.broker_port}"
    is_ = "is" if done.new else "is already"
    lines = [f"this box {is_} {record.device}, broker {broker}, certificate until {record.expires.date()}"]
    if done.root_kept:
        lines.append("note: it had another TUF root, which stays; --again takes the server's")
    return [*lines, *_next(config, state_dir, record)]


def _next(config: Path, state_dir: str | None, record: Provisioned) -> list[str]:
    """What is to be done before the agent can run as this box."""
    from agent.settings import load_config

    if not config.exists():
        return [f"next: write {config} with `bundle` and a camera; `device` and `broker` are known"]
    try:
        found = load_config(config, {"state_dir": state_dir} if state_dir else None)
    except EdgetallyError as error:
        return [f"next: mend {error}"]
    lines = []
    if found.device != record.device or found.broker.host != record.broker_host:
        lines.append(f"note: `device` or `broker` in {config} stand over what was given; take them out of it")
    return [*lines, f"next: edgetally-agent check --config {config}, then start the agent, or start it anew"]
