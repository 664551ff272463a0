"""What the commands of the inventory take, and what they make of it."""

from __future__ import annotations

import getpass
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from contracts.config import BrokerConfig
from contracts.documents import read_document
from contracts.errors import RuntimeMissingError, WrittenError

if TYPE_CHECKING:
    from fleet.store import database as databases
    from fleet.store.audit import Author
    from fleet.store.devices import DeviceStore
    from fleet.store.layers import LayerStore
    from fleet.wanted.signing import Sign

_log = logging.getLogger(__name__)

DATABASE_VARIABLE = "EDGETALLY_FLEET_DATABASE"
DEFAULT_DATABASE = "edgetally-fleet.db"
_LONGEST_NAME = 64  # of who makes a change

Database = Annotated[
    str,
    typer.Option(
        "--database",
        "-d",
        help="A file (SQLite), or postgresql://USER@HOST/NAME.",
        envvar=DATABASE_VARIABLE,
        metavar="URL",
    ),
]
As = Annotated[
    str | None, typer.Option("--as", help="Who makes the change, for the audit log. Default: who is logged in.")
]
Broker = Annotated[str, typer.Option("--broker", "-b", help="Where boxes publish.", metavar="HOST[:PORT]")]


def opened(database: str, *, make: bool = False) -> databases.Database:
    """A database, which is brought to this version where it is older, and made where that is wanted.

    Raises:
        RuntimeMissingError: the extra is not installed.
        DatabaseError: it cannot be used, or is not there.
    """
    check_extra()
    from fleet.store.database import Database

    return Database(database, make=make)


def store(database: str, *, make: bool = False) -> DeviceStore:
    """The boxes of a database; see `opened`.

    Raises:
        RuntimeMissingError: the extra is not installed.
        DatabaseError: it cannot be used, or is not there.
    """
    at = opened(database, make=make)
    from fleet.store.devices import DeviceStore

    return DeviceStore(at)


def signing(keys: Path | None, name: str) -> Sign:
    """What makes of a document what is published: signed where a folder of keys is given.

    Raises:
        UnknownNameError: there is no such key.
        KeyFileError: it is no operator's key, or cannot be opened.
    """
    from fleet.wanted.signing import signed, unsigned

    if keys is None:
        _log.warning("documents are not signed, so boxes that have operators' keys refuse them; give --keys")
        return unsigned
    from fleet.publishing import options

    return signed(options.keyring(keys, None), name)


class LayerStores(NamedTuple):
    """The layers of a database, and the boxes that they are for."""

    layers: LayerStore
    devices: DeviceStore


def layers(database: str) -> LayerStores:
    """The layers of a database; see `opened`.

    Raises:
        RuntimeMissingError: the extra is not installed.
        DatabaseError: it cannot be used, or is not there.
    """
    at = opened(database)
    from fleet.store.devices import DeviceStore
    from fleet.store.layers import LayerStore

    devices = DeviceStore(at)
    return LayerStores(LayerStore(at, lambda: (each.device for each in devices.all())), devices)


def who(name: str | None) -> Author:
    """Who gives a command: who says so, or who is logged in.

    Raises:
        WrittenError: it is no name.
    """
    from fleet.store.audit import Author

    given = _login() if name is None else name
    if not (0 < len(given) <= _LONGEST_NAME and given.isprintable()):
        raise WrittenError(f"--as should be 1 to {_LONGEST_NAME} printable characters")
    return Author(given, "cli")


def check_extra() -> None:
    """See that what the database needs is here.

    Raises:
        RuntimeMissingError: it is not.
    """
    try:
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise RuntimeMissingError("the inventory", "sqlalchemy", "fleet") from error


def broker(
    address: str,
    username: str | None,
    password_file: Path | None,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    *,
    tls: bool,
) -> BrokerConfig:
    """The broker, and how to log in.

    Raises:
        WrittenError: the address is none, or the password's file cannot be read.
        DocumentError: something of it does not fit.
    """
    encrypted = tls or ca is not None or certificate is not None
    host, port = _split(address, 8883 if encrypted else 1883)
    files = {"ca": ca, "certificate": certificate, "key": key}
    document: dict[str, object] = {"host": host, "port": port, "username": username}
    if encrypted:
        document["tls"] = {name: str(path) for name, path in files.items() if path is not None}
    if password_file is not None:
        document["password"] = _password(password_file)
    return read_document(BrokerConfig, document, "--broker")


def _login() -> str:
    """The user of this process; by number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def until_told() -> Callable[[], bool]:
    """Whether SIGTERM or Ctrl-C came since now."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: told.append(number))
    return lambda: bool(told)


def _split(address: str, port: int) -> tuple[str, int]:
    host, colon, digits = address.rpartition(":")
    if not colon or (address.count(":") > 1 and not host.endswith("]")):  # an IPv6 address without a port
        return address.strip("[]"), port
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5):  # noqa: PLR2004 - 65535 has five digits
        raise WrittenError(f"--broker {address!r} should be HOST or HOST:PORT")
    return host.strip("[]"), int(digits)


def _password(path: Path) -> str:
    try:
        return path.read_text().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise WrittenError(f"--password-file {path} cannot be read: {said}") from error
