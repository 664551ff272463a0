"""What several commands take, and what they make of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import RuntimeMissingError

if TYPE_CHECKING:
    from fleet.publishing.change import Repository
    from fleet.publishing.keys import Keyring
    from fleet.publishing.roles import Validity

REPOSITORY_VARIABLE = "EDGETALLY_REPOSITORY"
KEYS_VARIABLE = "EDGETALLY_KEYS"
DEFAULT_KEYS = Path("keys")

_ADDRESS_HELP = "Where its files are written: a folder, s3://BUCKET/PATH, or another address that fsspec knows."

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table, and no progress.")]
Keys = Annotated[Path, typer.Option("--keys", "-k", help="Folder of the keys.", envvar=KEYS_VARIABLE)]
RootKeys = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of keys that are kept apart, the root keys above all; may be repeated."),
]
Root = Annotated[
    Path | None, typer.Option("--root", help="The root.json that is trusted. Default: the one beside the keys.")
]
Address = Annotated[str, typer.Option("--repository", "-r", help=_ADDRESS_HELP, envvar=REPOSITORY_VARIABLE)]
AddressArgument = Annotated[str, typer.Argument(help=_ADDRESS_HELP, envvar=REPOSITORY_VARIABLE, metavar="URL")]
Expires = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=DAYS",
        help="How long signatures of now are valid: root=730, targets=365, model=180, snapshot=7 and timestamp=7 "
        "unless said otherwise; may be repeated.",
    ),
]


def check_extra() -> None:
    """See that the packages of the extra are here.

    Raises:
        RuntimeMissingError: one is not.
    """
    try:
        import cryptography  # noqa: F401
        import fsspec  # noqa: F401
        import rich  # noqa: F401
        import tuf.api.metadata  # noqa: F401
    except ImportError as error:
        raise RuntimeMissingError("publishing models", error.name or "tuf", "fleet") from error


def now() -> datetime:
    """UTC, in whole seconds, as TUF has times."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def validity(expires: Sequence[str] | None) -> Validity:
    """How long is valid what is signed now.

    Raises:
        DocumentError: ``expires`` is something else than ROLE=DAYS.
        UnknownNameError: it names no role.
    """
    from fleet.publishing.roles import Validity, parse_days

    return Validity(now(), parse_days(expires or ()))


def keyring(keys: Path, root_keys: Sequence[Path] | None) -> Keyring:
    """The keys at hand.

    Raises:
        RuntimeMissingError: the extra is not installed.
    """
    check_extra()
    from fleet.publishing.keys import Keyring
    from fleet.publishing.passphrases import passphrases

    return Keyring((keys, *(root_keys or ())), passphrases())


def repository(
    address: str,
    keys: Path,
    root: Path | None,
    root_keys: Sequence[Path] | None = None,
    expires: Sequence[str] | None = None,
) -> Repository:
    """A repository that is there.

    Raises:
        RepositoryError: no root to trust is here.
        UnknownNameError: no such kind of address.
    """
    ring = keyring(keys, root_keys)
    from fleet.publishing.change import Repository
    from fleet.publishing.files import open_files
    from fleet.publishing.init import ROOT_NAME, read_root
    from fleet.publishing.seen import Seen

    trusted = read_root(root or keys / ROOT_NAME)
    return Repository(open_files(address), trusted, ring, validity(expires), Seen(keys, trusted))


def print_json(document: object) -> None:
    """Print a document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
