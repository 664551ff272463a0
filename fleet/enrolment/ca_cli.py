"""edgetally-fleet ca: the authority that signs certificates of boxes, of the broker and of its users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import StorageError, WrittenError
from fleet import inventory_options
from fleet.clock import wall_ms
from fleet.inventory_options import DEFAULT_DATABASE, As, Database
from fleet.publishing.options import Json, check_extra, print_json

if TYPE_CHECKING:
    from fleet.enrolment.authority import Authority

app = typer.Typer(
    help="The authority that signs certificates of boxes, of the broker and of its users.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

DEFAULT_CA = Path("ca")
_TEN_YEARS = 3_652

Folder = Annotated[Path, typer.Option("--ca", help="Folder of the authority.", envvar="EDGETALLY_CA")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where its two files go.")] = DEFAULT_CA,
    name: Annotated[str, typer.Option(help="That it has in certificates.")] = "edgetally fleet",
    days: Annotated[int, typer.Option(min=1, max=36_500, help="That it holds.")] = _TEN_YEARS,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file of an authority of your own, those above it behind it.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key, P-256.")] = None,
    *,
    unencrypted: Annotated[bool, typer.Option("--unencrypted", help="Keep the key without a passphrase.")] = False,
) -> None:
    """Make an authority, or take one of your own.

    The passphrase of its key is asked for, or read from the file that `EDGETALLY_KEY_PASSPHRASE_FILE` names.

    Example: `edgetally-fleet ca init`
    """
    check_extra()
    from fleet.enrolment.authority import new_authority
    from fleet.enrolment.authority_files import CERTIFICATE_NAME, joined, write_authority
    from fleet.publishing.passphrases import passphrases

    if (certificate is None) != (key is None):
        raise WrittenError("--certificate and --key go together")
    if not 0 < len(name) <= 64 or not name.isprintable():  # noqa: PLR2004 - X.520's upper bound of a common name
        raise WrittenError("--name should be 1 to 64 printable characters")
    words = passphrases()
    if certificate is not None and key is not None:
        authority = joined(certificate, key, words)
    else:
        authority = new_authority(name, wall_ms(), days)
    write_authority(folder, authority, None if unencrypted else words.new())
    typer.echo(f"{folder / CERTIFICATE_NAME} holds until {authority.expires.date()}, SHA-256 {authority.fingerprint}")


@app.command()
def show(ca: Folder = DEFAULT_CA, *, as_json: Json = False) -> None:
    """Show the authority; takes no passphrase.

    Example: `edgetally-fleet ca show`
    """
    check_extra()
    from fleet.enrolment.authority_files import CERTIFICATE_NAME, read_chain

    own = read_chain(ca / CERTIFICATE_NAME)[0]
    row = {
        "name": own.subject.rfc4514_string(),
        "expires": own.not_valid_after_utc.date().isoformat(),
        "sha256": digest_of(ca),
    }
    if as_json:
        print_json(row)
    else:
        typer.echo(f"{row['name']}  until {row['expires']}  SHA-256 {row['sha256']}")


@app.command()
def issue(
    name: Annotated[str, typer.Argument(help="At the broker, or of a server.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder in which NAME.pem and NAME.key go.")],
    host: Annotated[
        list[str] | None, typer.Option(help="Of a server: a name or address that it is reached under. Repeatable.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=7_300, help="That it holds.")] = 730,
    ca: Folder = DEFAULT_CA,
    database: Database = DEFAULT_DATABASE,
    author: As = None,
) -> None:
    """Make a key and a certificate: with --host for a server, else for a user of the broker, whose name no box gets.

    Examples: `edgetally-fleet ca issue broker --host broker.example --out .` ·
    `edgetally-fleet ca issue fleet --out . --database fleet.db`
    """
    authority = opened_authority(ca)
    from fleet.enrolment.authority import new_key
    from fleet.enrolment.authority_files import key_pem, write_pair
    from fleet.enrolment.users import issue_user

    key = new_key()
    if host:
        issued = authority.issue(key.public_key(), name, wall_ms(), days, ("server",), host)
    else:
        opened = inventory_options.opened(database, make=True)
        by = inventory_options.who(author)
        issued = issue_user(opened, authority, key.public_key(), name, days, by, wall_ms())
    try:
        path = write_pair(out, name, issued.pem, key_pem(key))
    except OSError as error:
        raise StorageError(str(out), error) from error
    typer.echo(f"{path} and its key are for {', '.join(host) if host else f'{name} at the broker'}")


def opened_authority(folder: Path) -> Authority:
    """The authority, its key opened.

    Raises:
        RuntimeMissingError: the extra is not installed.
        KeyFileError: it cannot be used.
    """
    check_extra()
    from fleet.enrolment.authority_files import read_authority
    from fleet.publishing.passphrases import passphrases

    return read_authority(folder, passphrases())


def digest_of(path: Path) -> str:
    """SHA-256 of the first certificate of a PEM file, or of an authority's folder.

    Raises:
        RuntimeMissingError: the extra is not installed.
        KeyFileError: there is none.
    """
    check_extra()
    from cryptography.hazmat.primitives.hashes import SHA256

    from fleet.enrolment.authority_files import CERTIFICATE_NAME, read_chain

    own = read_chain(path / CERTIFICATE_NAME if path.is_dir() else path)[0]
    return own.fingerprint(SHA256()).hex()
