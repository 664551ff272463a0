"""edgetally-fleet enrol: which boxes may come in, and which may no more."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.documents import ID_PATTERN, ID_RULE, read_document, without_credentials
from contracts.errors import WrittenError
from fleet import inventory_options
from fleet.clock import wall_ms
from fleet.enrolment.ca_cli import DEFAULT_CA, Folder, digest_of, opened_authority
from fleet.inventory_options import DEFAULT_DATABASE, As, Database
from fleet.publishing.options import Json, check_extra, print_json

if TYPE_CHECKING:
    from contracts.enrolment import Invitation
    from fleet.enrolment.tokens import Bounds, EnrolToken

app = typer.Typer(
    help="Which boxes may come in, and which may no more.", no_args_is_help=True, rich_markup_mode="markdown"
)
token_app = typer.Typer(help="What lets boxes in.", no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(token_app, name="token")

Device = Annotated[str, typer.Argument(help="Its id.")]
Server = Annotated[str | None, typer.Option(help="Of the console, as boxes reach it.", metavar="https://HOST[:PORT]")]
ServerCa = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        help="Who signed the console's certificate: the authority's folder, or a PEM file. None: a public authority.",
    ),
]


@token_app.command(name="create")
def create_token(
    uses: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many boxes it lets in.")] = 1,
    expires: Annotated[str, typer.Option(help="It is refused after so long: 7d, 12h, 30m.")] = "7d",
    title: Annotated[str, typer.Option(help="What it is for.")] = "",
    name: Annotated[str, typer.Option(help="What boxes may be called; a * stands for any characters.")] = "*",
    only: Annotated[Path | None, typer.Option(help="File of names or serial numbers, one a line: only these.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="That its boxes have, for queries and groups. Repeatable.", metavar="K=V")
    ] = None,
    server: Server = None,
    ca: ServerCa = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a provisioning file for a stick; takes --server.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    author: As = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a token that lets boxes in, and print it: it is shown this once, and stored nowhere.

    Example: `edgetally-fleet enrol token create --uses 100 --expires 7d --name 'shop-*' --label site=taipei`
    """
    opened = inventory_options.opened(database, make=True)
    from fleet.enrolment.spans import span_ms
    from fleet.enrolment.tokens import Bounds
    from fleet.store.enrolment import EnrolTokens

    if out is not None and server is None:
        raise WrittenError("--out writes a provisioning file, which names the server; give --server https://HOST:PORT")
    bounds, now = Bounds(uses, name, _entries(only), _labels(label or ())), wall_ms()
    ends, pin = now + span_ms(expires), None if ca is None else digest_of(ca)
    token, text = EnrolTokens(opened).add(title, bounds, inventory_options.who(author), now, ends)
    if out is not None and server is not None:
        _write_file(out, _invitation(server, text, pin, None))
    if as_json:
        print_json({**_row(token), "token": text})
        return
    sys.stdout.write(f"{text}\n")
    typer.echo(
        f"token {token.id} lets in {uses}, until {_minute(ends)}{f'; {out} is for them' if out else ''}", err=True
    )


@token_app.command(name="list")
def list_tokens(database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """List tokens; never the tokens themselves.

    Example: `edgetally-fleet enrol token list --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.store.enrolment import EnrolTokens

    rows = [_row(token) for token in EnrolTokens(opened).all()]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        over = "  revoked" if row["revoked"] else ""
        typer.echo(
            f"{row['id']}  {row['used']} of {row['uses']}  {row['names']}  until {row['expires']}{over}  {row['title']}"
        )


@token_app.command(name="revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="Its id, as `enrol token list` shows it.")],
    database: Database = DEFAULT_DATABASE,
    author: As = None,
) -> None:
    """Have a token let in nobody any more; boxes that it let in stay.

    Example: `edgetally-fleet enrol token revoke k7dq2m5x --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.store.enrolment import EnrolTokens

    revoked = EnrolTokens(opened).revoke(token, inventory_options.who(author), wall_ms())
    typer.echo(f"token {revoked.id} lets in nobody any more; it let in {revoked.used}")


@app.command()
def qr(
    file: Annotated[Path, typer.Argument(help="The provisioning file that `enrol token create --out` wrote.")],
    png: Annotated[Path | None, typer.Option(help="Write a picture instead of printing it on the terminal.")] = None,
) -> None:
    """Show a provisioning file as a QR code, for `edgetally-agent provision --qr`. Whoever sees it may use its token.

    Example: `edgetally-fleet enrol qr provisioning.toml`
    """
    check_extra()
    from contracts.enrolment import Invitation
    from fleet.enrolment.codes import print_code, write_code
    from runtime.documents import read_toml

    text = read_toml(Invitation, file).text()
    if png is None:
        print_code(text)
        return
    write_code(text, png)
    typer.echo(f"{png} is written; delete it once the boxes are in")


@app.command(name="list")
def list_boxes(database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """List names under which boxes were let in, how each stands, and until when its certificate holds.

    Example: `edgetally-fleet enrol list --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.store.enrolment import all_enrolled

    with opened.reading() as connection:
        found = all_enrolled(connection)
    rows = [
        {
            "device": each.device,
            "state": each.state,
            "since": _minute(each.changed_ms),
            "certificate_expires": None if each.expires_ms is None else _minute(each.expires_ms),
            "serial": each.serial,
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        ends = f"  certificate until {row['certificate_expires']}" if row["certificate_expires"] else ""
        typer.echo(f"{row['device']}  {row['state']} since {row['since']}{ends}")


@app.command()
def decommission(
    device: Device,
    database: Database = DEFAULT_DATABASE,
    author: As = None,
) -> None:
    """End a box: its certificates are revoked, the inventory forgets it, its name does not come back by itself.

    What it counted stays. The broker has to be told; the command says how.

    Example: `edgetally-fleet enrol decommission shop-17 --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.enrolment.ending import decommission as end

    revoked = end(opened, device, inventory_options.who(author), wall_ms())
    typer.echo(f"{device} is decommissioned, {revoked} certificate{'' if revoked == 1 else 's'} revoked")
    typer.echo("next: edgetally-fleet broker revoked --out FILE, and have the broker read it (SIGHUP);")
    typer.echo(f"then: edgetally-fleet enrol clear {device} --broker HOST, which ends its connection if one is open")


@app.command()
def allow(device: Device, database: Database = DEFAULT_DATABASE, author: As = None) -> None:
    """Let one box take a name that another has or had, as where a broken box is replaced; it needs a token, too.

    The other's certificates end when it comes.

    Example: `edgetally-fleet enrol allow shop-17 --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.enrolment.ending import allow as let

    let(opened, device, inventory_options.who(author), wall_ms())
    typer.echo(f"one box that comes with a token may be {device}")


@app.command()
def clear(
    device: Device,
    broker: Annotated[str, typer.Option("--broker", "-b", help="As boxes reach it.", metavar="HOST[:PORT]")],
    broker_ca: Annotated[
        str | None,
        typer.Option(help="PEM file of who signed its certificate, or `system`. Default: the authority itself."),
    ] = None,
    ca: Folder = DEFAULT_CA,
    prefix: Annotated[list[str] | None, typer.Option(help="Of Home Assistant's topics. Repeatable.")] = None,
    camera: Annotated[list[str] | None, typer.Option(help="Of the box, besides those it counted with.")] = None,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Take back what the broker keeps of a box that was decommissioned, and end its connection.

    Only boxes write their own topics, so this is done as the box, with a certificate of a day that is thrown away.

    Example: `edgetally-fleet enrol clear shop-17 --broker broker.example --database fleet.db`
    """
    opened = inventory_options.opened(database)
    authority = opened_authority(ca)
    from contracts.config import parse_address
    from fleet.enrolment import clearing
    from fleet.enrolment.authority_files import CERTIFICATE_NAME
    from fleet.store.enrolment import barred
    from fleet.store.forgetting import cameras_of

    with opened.reading() as connection:
        if not barred(connection, [device]):
            raise WrittenError(f"{device} is not decommissioned, so what it told stays; decommission it first")
        cameras = {*cameras_of(connection, device), *(camera or ())}
    host, port = parse_address("--broker", broker)
    trusted = None if broker_ca == "system" else Path(broker_ca or ca / CERTIFICATE_NAME)
    topics = clearing.retained_topics(device, sorted(cameras), prefix or ["homeassistant"])
    clearing.clear(host.strip("[]"), port or 8883, trusted, authority, device, topics, wall_ms())
    typer.echo(f"{len(topics)} topics of {device} are empty")


def _invitation(server: str, token: str, ca: str | None, name: str | None) -> Invitation:
    from contracts.enrolment import Invitation

    given = {"server": server, "token": token, "ca": ca, "name": name}
    return read_document(Invitation, {key: value for key, value in given.items() if value is not None}, "--server")


def _write_file(path: Path, invitation: Invitation) -> None:
    from contracts.toml_lines import toml_lines
    from fleet.enrolment.authority_files import write_new

    plain = {**invitation.model_dump(exclude_none=True), "token": invitation.token.get_secret_value()}
    text = "\n".join(["# edgetally-agent provision --file provisioning.toml", *toml_lines(plain)]) + "\n"
    try:
        write_new(path, text.encode(), 0o600)
    except OSError as error:
        raise WrittenError(f"--out {path} cannot be written: {error.strerror}; choose another file") from error


def _entries(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise WrittenError(f"--only {path} cannot be read: {said}") from error
    found = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not found:
        raise WrittenError(f"--only {path} names nobody, so the token would let in anybody; leave --only out for that")
    return found


def _labels(given: list[str] | tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, value in pairs:
        if not (equals and value and re.fullmatch(ID_PATTERN, name)):
            raise WrittenError(f"--label should be NAME=VALUE, NAME of {ID_RULE}, got {without_credentials(name)!r}")
    return {name: value for name, _, value in pairs}


def _row(token: EnrolToken) -> dict[str, object]:
    bounds: Bounds = token.bounds
    return {
        "id": token.id,
        "title": token.title,
        "uses": bounds.uses,
        "used": token.used,
        "names": bounds.names,
        "only": list(bounds.only),
        "labels": dict(bounds.labels),
        "expires": _minute(token.expires_ms),
        "revoked": token.revoked_ms is not None,
    }


def _minute(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
