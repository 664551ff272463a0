"""edgetally-fleet config: what boxes should be configured as, in layers; and the audit log of all changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import UnknownNameError, WrittenError, did_you_mean
from fleet import inventory_options
from fleet.inventory_options import DEFAULT_DATABASE, As, Database
from fleet.publishing.options import Json, print_json

if TYPE_CHECKING:
    from fleet.configuration.layers import LayerName
    from fleet.store.layers import StoredLayer

app = typer.Typer(
    help="Say what boxes should be configured as, in layers, and see what a change would do.", no_args_is_help=True
)

LayerArgument = Annotated[str, typer.Argument(help="`fleet`, `group/NAME` or `device/ID`.", metavar="LAYER")]
IfRevision = Annotated[
    int | None, typer.Option(min=0, help="Refuse unless the layer has this revision; 0: unless there is none.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, newest first.")]


@app.command(name="list")
def list_layers(database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """List the layers, the lowest first.

    Example: `edgetally-fleet config list --database fleet.db`
    """
    stores = inventory_options.layers(database)
    from fleet.configuration.show import layer_document, print_layers

    every = stores.layers.all()
    if as_json:
        print_json([layer_document(each) for each in every])
    else:
        print_layers(every)


@app.command()
def show(layer: LayerArgument, database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """Show a layer. What is secret is `***`; handed in again so, it stays as it is.

    Example: `edgetally-fleet config show group/taipei > taipei.toml`
    """
    stores = inventory_options.layers(database)
    from fleet.configuration.layers import parse_name
    from fleet.configuration.show import layer_document, layer_text

    stored = _existing(parse_name(layer), stores.layers.all())
    if as_json:
        print_json(layer_document(stored))
    else:
        typer.echo(layer_text(stored))


@app.command(name="set")
def set_layer(
    layer: LayerArgument,
    file: Annotated[Path, typer.Argument(help="Part of agent.toml: TOML, or JSON where its name ends in .json.")],
    query: Annotated[str | None, typer.Option(help="Of a group: which boxes it is for.")] = None,
    rank: Annotated[
        int | None, typer.Option(help="Of a group: a higher one lies over a lower one. Default: as it is, or 0.")
    ] = None,
    if_revision: IfRevision = None,
    database: Database = DEFAULT_DATABASE,
    author: As = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make a layer, or replace what it says, after showing what that changes.

    Example: `edgetally-fleet config set group/taipei taipei.toml --query site=taipei --rank 10`
    """
    stores = inventory_options.layers(database)
    from fleet.configuration.change_cli import Change, Manner, carry_out
    from fleet.configuration.layers import parse_name
    from fleet.configuration.proposal import Written, proposed
    from runtime.documents import load_json, load_toml

    name = parse_name(layer)
    keys = load_json(file) if file.suffix == ".json" else load_toml(file)
    every = stores.layers.all()
    before = next((each for each in every if each.layer.name == name), None)
    after = proposed(name, Written(keys, str(file), query, rank), before.layer if before else None)
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json)
    carry_out(stores, Change(name, every, after, if_revision, inventory_options.who(author)), manner)


@app.command()
def remove(
    layer: LayerArgument,
    if_revision: IfRevision = None,
    database: Database = DEFAULT_DATABASE,
    author: As = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove a layer, after showing what that changes.

    Example: `edgetally-fleet config remove device/box-7 --dry-run`
    """
    stores = inventory_options.layers(database)
    from fleet.configuration.change_cli import Change, Manner, carry_out
    from fleet.configuration.layers import parse_name

    name = parse_name(layer)
    every = stores.layers.all()
    _existing(name, every)
    manner = Manner(dry_run=dry_run, yes=yes, as_json=as_json)
    carry_out(stores, Change(name, every, None, if_revision, inventory_options.who(author)), manner)


@app.command()
def resolve(
    device: Annotated[str, typer.Argument(help="A box's id.")],
    database: Database = DEFAULT_DATABASE,
    *,
    as_json: Json = False,
) -> None:
    """Show what a box should be configured as, and which layer each value is from.

    Example: `edgetally-fleet config resolve box-1 --database fleet.db`
    """
    stores = inventory_options.layers(database)
    from fleet.configuration.show import resolved_document, resolved_lines

    stored = stores.devices.get(device)
    if stored is None:
        near = did_you_mean(device, (each.device.device for each in stores.devices.all()))
        raise WrittenError(f"no box {device!r} is known{near or '; `edgetally-fleet devices` lists them'}")
    document = resolved_document(stored.device, [each.layer for each in stores.layers.all()])
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(resolved_lines(document)))


@app.command()
def history(
    layer: LayerArgument, limit: Limit = 20, database: Database = DEFAULT_DATABASE, *, as_json: Json = False
) -> None:
    """Show who changed a layer, when, and what; one that was removed too.

    Example: `edgetally-fleet config history group/taipei --database fleet.db`
    """
    from fleet.configuration.layers import parse_name

    audit(parse_name(layer).subject, limit, database, as_json=as_json)


def audit(
    subject: Annotated[
        str | None, typer.Option(help="Only of one thing: `layer:group/taipei`, say. Default: of all.")
    ] = None,
    limit: Limit = 20,
    database: Database = DEFAULT_DATABASE,
    *,
    as_json: Json = False,
) -> None:
    """Show who changed what, and when, newest first.

    Example: `edgetally-fleet audit --subject layer:fleet --limit 5 --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.configuration.show import entry_document, entry_lines
    from fleet.store.audit import AuditLog

    entries = AuditLog(opened).newest(limit, subject=subject)
    if as_json:
        print_json([entry_document(each) for each in entries])
        return
    for each in entries:
        typer.echo("\n".join(entry_lines(each)))


def _existing(name: LayerName, stored: list[StoredLayer]) -> StoredLayer:
    for each in stored:
        if each.layer.name == name:
            return each
    if not stored:
        raise WrittenError(f"there is no layer {name}, nor any other; `edgetally-fleet config set` makes one")
    raise UnknownNameError("layer", str(name), (str(each.layer.name) for each in stored))
