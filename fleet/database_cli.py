"""edgetally-fleet database: what to do with the database itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fleet import inventory_options
from fleet.clock import wall_ms
from fleet.inventory_options import DEFAULT_DATABASE, Database
from fleet.publishing import options
from fleet.publishing.options import Json

app = typer.Typer(help="Look after the database.", no_args_is_help=True)


@app.command()
def restored(
    database: Database = DEFAULT_DATABASE,
    author: Annotated[str | None, typer.Option("--as", help="Who does it. Default: who is logged in.")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also where no box is known to be ahead.")] = False,
    as_json: Json = False,
) -> None:
    """After the database came from a backup: have boxes take its documents again, though they were given newer ones.

    Until then they refuse what is older than what they run. Rollouts that run are paused: look at them, then resume.

    Example: `edgetally-fleet database restored --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.wanted.restoring import restored as say_restored

    done = say_restored(opened, inventory_options.who(author), wall_ms(), force=force)
    if as_json:
        options.print_json(asdict(done))
        return
    typer.echo(f"epoch {done.epoch}: every box gets its document anew; {done.ahead} had been given newer ones")
    if done.paused:
        typer.echo(
            f"paused rollouts: {', '.join(map(str, done.paused))}; look at them with `rollout show`, then resume"
        )
