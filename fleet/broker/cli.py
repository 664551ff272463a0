"""edgetally-fleet broker: files that set a broker up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import WrittenError
from fleet import inventory_options
from fleet.clock import wall_ms
from fleet.enrolment.ca_cli import DEFAULT_CA, Folder, opened_authority
from fleet.inventory_options import DEFAULT_DATABASE, Database

app = typer.Typer(help="Set the broker up: its rules of access, and its configuration.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write to this file instead of printing it.")]


@app.command()
def acl(
    controller: Annotated[list[str], typer.Option(help="Name of `edgetally-fleet serve` at the broker. Repeatable.")],
    home_assistant: Annotated[list[str] | None, typer.Option(help="Name of Home Assistant. Repeatable.")] = None,
    reader: Annotated[list[str] | None, typer.Option(help="Name of who takes counts in. Repeatable.")] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(help="Of Home Assistant's topics; also an earlier one. Default: homeassistant.")
    ] = None,
    users: Annotated[Path | None, typer.Option(help="File of box ids, one a line: only these.")] = None,
    devices: Annotated[str | None, typer.Option(help="Query: only boxes of the database that it means.")] = None,
    database: Database = DEFAULT_DATABASE,
    out: Out = None,
) -> None:
    """Write the rules of access for Mosquitto: a box reads and writes its own topics only, Home Assistant's included.

    A box's name at the broker is its id. Without --users and --devices that holds for whoever the broker lets in, and
    nothing has to be written anew for further boxes.

    Example: `edgetally-fleet broker acl --controller fleet --home-assistant hass --out /etc/mosquitto/edgetally.acl`
    """
    from contracts.config import HomeAssistantConfig
    from contracts.documents import read_document
    from fleet.broker.mosquitto import acl_file
    from fleet.broker.rules import Users

    for one in prefix or ():
        read_document(HomeAssistantConfig, {"prefix": one}, "--prefix")
    others = Users(controller, home_assistant or (), reader or (), prefix or ("homeassistant",))
    _write(acl_file(others, _boxes(users, devices, database)), out, "have the broker read it again (SIGHUP)")


@app.command()
def config(
    acl_path: Annotated[Path, typer.Option("--acl", help="File of rules; see `broker acl`.")],
    certificate: Annotated[Path, typer.Option(help="PEM file of the broker's certificate.")],
    key: Annotated[Path, typer.Option(help="PEM file of its key.")],
    client_ca: Annotated[
        Path | None, typer.Option(help="PEM file of who signs boxes' certificates; their common names are box ids.")
    ] = None,
    revoked: Annotated[Path | None, typer.Option(help="PEM file: list of revoked client certificates.")] = None,
    passwords: Annotated[Path | None, typer.Option(help="Instead: file that mosquitto_passwd wrote.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 8883,
    address: Annotated[str | None, typer.Option(help="Listen on this address only.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder for what is retained. Default: as the rest of mosquitto.conf says.")
    ] = None,
    out: Out = None,
) -> None:
    """Write a part of mosquitto.conf: TLS, who is let in, what is kept over a restart, and limits.

    Example: `edgetally-fleet broker config --acl /etc/mosquitto/edgetally.acl --certificate /etc/mosquitto/broker.pem
    --key /etc/mosquitto/broker.key --client-ca /etc/mosquitto/boxes-ca.pem --out /etc/mosquitto/conf.d/edgetally.conf`
    """
    from fleet.broker.mosquitto import Listener, config_file

    listener = Listener(acl_path, certificate, key, client_ca, revoked, passwords, port, address, state)
    _write(config_file(listener), out, "restart the broker, as SIGHUP changes no listener")


@app.command()
def revoked(
    ca: Folder = DEFAULT_CA,
    database: Database = DEFAULT_DATABASE,
    out: Out = None,
) -> None:
    """Write the list of certificates that hold no more, of boxes that were decommissioned or replaced.

    It is good as long as the authority is. Mosquitto reads it at its start, and again when told (SIGHUP).

    Example: `edgetally-fleet broker revoked --out /etc/mosquitto/edgetally.crl --database fleet.db`
    """
    opened = inventory_options.opened(database, make=True)
    authority = opened_authority(ca)
    from fleet.enrolment.ending import revocation_list

    _write(revocation_list(opened, authority, wall_ms()), out, "tell the broker with SIGHUP")


def _boxes(users: Path | None, query: str | None, database: str) -> list[str] | None:
    if users is not None and query is not None:
        raise WrittenError("give --users or --devices, not both")
    if users is not None:
        return _read_ids(users)
    if query is None:
        return None
    from fleet.inventory.fields import select

    known = [stored.device for stored in inventory_options.store(database).all()]
    return [device.device for device in select(query, known)]


def _read_ids(path: Path) -> list[str]:
    """The ids in a file, one a line; empty lines and those that begin with ``#`` are none."""
    from contracts.topics import Channel, Topic

    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise WrittenError(f"--users {path} cannot be read: {said}") from error
    ids = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    return [Topic(one, Channel.STATUS).device for one in ids]


def _write(text: str, out: Path | None, then: str) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise WrittenError(f"--out {out} cannot be written: {error.strerror}") from error
    typer.echo(f"{out} is written; {then}")
