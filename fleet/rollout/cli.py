"""edgetally-fleet rollout: planning a rollout, making it, watching it, and stepping in."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import UnknownNameError, WrittenError
from fleet import inventory_options
from fleet.clock import wall_ms
from fleet.inventory_options import DEFAULT_DATABASE, Database
from fleet.publishing import options
from fleet.publishing.options import DEFAULT_KEYS, Address, Json, Keys, Root
from fleet.rollout.rules import ACTIONS, MEANINGS, Action

if TYPE_CHECKING:
    from fleet.rollout.boxes import BoxState
    from fleet.rollout.creating import Planned
    from fleet.rollout.spec import RolloutSpec
    from fleet.rollout.view import RolloutView
    from fleet.store.database import Database as OpenedDatabase
    from fleet.store.rollout_events import RolloutEvent

app = typer.Typer(help="Roll a released model out in waves, watch it, and step in.", no_args_is_help=True)

_REFRESH = 1.0  # seconds between two looks of `watch`

Number = Annotated[int, typer.Argument(help="Number of the rollout; `rollout list` shows them.")]
As = Annotated[str | None, typer.Option("--as", help="Who does it, for the audit log. Default: who is logged in.")]
Revision = Annotated[
    int | None, typer.Option("--if-revision", help="Only where nobody changed it since it had this revision.")
]


@app.command()
def create(
    model: Annotated[str, typer.Option(help="The release, as NAME@VERSION.", metavar="NAME@VERSION")],
    repository: Address,
    select: Annotated[str, typer.Option(help="Which boxes: `site=taipei & target~jetson-*`. Default: all.")] = "",
    slot: Annotated[str, typer.Option(help="Of the boxes, that gets the model.")] = "main",
    waves: Annotated[
        str | None,
        typer.Option(help="Boxes of each hardware class, or shares of it, with those before. Default: 1,5%,25%,100%."),
    ] = None,
    risk: Annotated[
        str | None, typer.Option(help="Instead of --waves: waves that exclude this failure rate before all get it.")
    ] = None,
    soak: Annotated[str, typer.Option(help="How long a wave goes on before the next is opened.")] = "30m",
    max_failed: Annotated[str, typer.Option(help="Share of boxes that may fail.")] = "1%",
    min_committed: Annotated[str, typer.Option(help="Share of the reached boxes that must run it.")] = "90%",
    max_silent: Annotated[str, typer.Option(help="Share of the reached boxes that may fall silent.")] = "5%",
    silent_after: Annotated[str, typer.Option(help="From when on a box that says nothing is silent.")] = "15m",
    deadline: Annotated[str, typer.Option(help="From when on a box that comes to no end is silent.")] = "26h",
    retries: Annotated[int, typer.Option(min=0, max=100, help="For boxes that fail for the moment.")] = 1,
    halt: Annotated[str, typer.Option(help="What a halt stops: `class`, or `all` of it.")] = "class",
    on_halt: Annotated[str, typer.Option(help="What follows: `pause` until somebody acts, or `revert`.")] = "pause",
    max_drift: Annotated[
        str | None, typer.Option(help="How far counts may move against boxes that were not updated. Default: no limit.")
    ] = None,
    penalty: Annotated[str, typer.Option(help="How long no rollout takes a box that failed.")] = "1d",
    database: Database = DEFAULT_DATABASE,
    keys: Keys = DEFAULT_KEYS,
    root: Root = None,
    author: As = None,
    *,
    approval: Annotated[bool, typer.Option("--approval", help="Wait until somebody approves it.")] = False,
    standing: Annotated[bool, typer.Option("--standing", help="Boxes that come later and fit get it too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Plan a rollout, show what it will do and prove, and start it.

    Each hardware class goes through the waves by itself, from its canaries on. A gate between two waves looks at four
    numbers: boxes that run it, that failed, that fell silent, that are at it.

    Example: `edgetally-fleet rollout create --model vehicle-density@1.1.0 --select 'site=taipei' --waves 1,5%,25%,100%
    --soak 30m --max-failed 1% --repository /srv/models --dry-run`
    """
    opened = inventory_options.opened(database)
    from fleet.rollout.asking import Asked, plan_asked, proposal_lines, release_name
    from fleet.rollout.creating import create_rollout
    from fleet.rollout.release import find
    from fleet.rollout.show import plan_document

    asked = Asked(
        release=model,
        query=select,
        slot=slot,
        waves=waves,
        risk=risk,
        soak=soak,
        max_failed=max_failed,
        min_committed=min_committed,
        max_silent=max_silent,
        silent_after=silent_after,
        deadline=deadline,
        retries=retries,
        halt=halt,
        on_halt=on_halt,
        max_drift=max_drift,
        penalty=penalty,
        approval=approval,
        standing=standing,
    )
    name, version = release_name(model)
    release = find(options.repository(repository, keys, root), name, version)
    spec, planned, proposal = plan_asked(opened, asked, release, wall_ms())
    if proposal is not None and not as_json:
        typer.echo("\n".join(proposal_lines(proposal, risk or "")))
    if not as_json:
        _print_plan(spec, planned)
    if dry_run or not _confirmed(planned.boxes, yes=yes or as_json):
        if as_json:
            options.print_json(plan_document(planned))
        return
    number, planned = create_rollout(opened, spec, release, inventory_options.who(author), wall_ms())
    if as_json:
        options.print_json({"id": number, **plan_document(planned)})
        return
    then = f"approve {number}` starts it" if approval else f"watch {number}` shows how it goes"
    typer.echo(f"rollout {number} is made; `edgetally-fleet rollout {then}")


@app.command(name="list")
def list_rollouts(
    database: Database = DEFAULT_DATABASE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """List rollouts, newest first.

    Example: `edgetally-fleet rollout list --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.printing import print_out
    from fleet.rollout.show import rollout_document, rollouts_table
    from fleet.rollout.view import newest

    found = newest(opened, limit)
    if as_json:
        options.print_json([rollout_document(each) for each in found])
    else:
        print_out(rollouts_table(found))


@app.command()
def show(number: Number, database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """Show how a rollout stands: each hardware class with its wave and gate, and what happened.

    Example: `edgetally-fleet rollout show 7 --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.printing import print_out
    from fleet.rollout.show import rollout_screen, view_document
    from fleet.rollout.view import view

    found = view(opened, number, wall_ms())
    if as_json:
        options.print_json(view_document(found))
    else:
        print_out(rollout_screen(found, wall_ms()))


@app.command()
def watch(number: Number, database: Database = DEFAULT_DATABASE) -> None:
    """Watch a rollout until it ends or halts; Ctrl-C ends only the view. Exit code 1 where it is not completed.

    In a file or pipe it prints what happens, a line each, and at the end how the rollout stands.

    Example: `edgetally-fleet rollout watch 7 --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.printing import print_out
    from fleet.rollout.show import rollout_screen

    if sys.stdout.isatty():
        last = _watch_live(opened, number)
    else:
        last = _watch_events(opened, number)
        print_out(rollout_screen(last, wall_ms()))
    if last.rollout.state != "completed":
        raise typer.Exit(1)


def _looks(opened: OpenedDatabase, number: int) -> Iterator[RolloutView]:
    """How it stands, again and again until it ends or halts."""
    from fleet.rollout.rules import ENDS
    from fleet.rollout.view import view

    yield (found := view(opened, number, wall_ms()))
    while found.rollout.state not in {*ENDS, "halted"}:
        time.sleep(_REFRESH)
        yield (found := view(opened, number, wall_ms()))


def _watch_live(opened: OpenedDatabase, number: int) -> RolloutView:
    from rich.live import Live

    from fleet.printing import terminal
    from fleet.rollout.show import rollout_screen

    looks = _looks(opened, number)
    found = next(looks)
    with Live(rollout_screen(found, wall_ms()), console=terminal(), auto_refresh=False) as live:
        for found in looks:
            live.update(rollout_screen(found, wall_ms()), refresh=True)
    return found


def _watch_events(opened: OpenedDatabase, number: int) -> RolloutView:
    from fleet.rollout.show import event_lines

    told: tuple[RolloutEvent, ...] = ()
    for found in _looks(opened, number):
        new = itertools.takewhile(lambda event: event not in told, found.events)  # noqa: B023 - it is used up at once
        for line in reversed([*event_lines(list(new))]):
            typer.echo(line)
        told = found.events
    return found


@app.command()
def boxes(
    number: Number,
    state: Annotated[list[str] | None, typer.Option(help="Only boxes in this state; may be repeated.")] = None,
    database: Database = DEFAULT_DATABASE,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest changes first.")] = 100,
    *,
    as_json: Json = False,
) -> None:
    """List boxes of a rollout, and why each stands as it does.

    Example: `edgetally-fleet rollout boxes 7 --state failed --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.printing import print_out
    from fleet.rollout.show import box_document, boxes_table
    from fleet.rollout.view import boxes as boxes_of

    found = boxes_of(opened, number, limit, _states(state or ()))
    if as_json:
        options.print_json([box_document(each) for each in found])
    else:
        print_out(boxes_table(found))


def _add(action: Action) -> None:
    """A command for what a person may do to a rollout."""

    def command(
        number: Number, database: Database = DEFAULT_DATABASE, author: As = None, revision: Revision = None
    ) -> None:
        opened = inventory_options.opened(database)
        from fleet.rollout.acting import act

        changed = act(opened, number, action, inventory_options.who(author), wall_ms(), revision=revision)
        typer.echo(f"rollout {number} is {changed.state} now (revision {changed.revision})")

    app.command(name=action, help=f"{MEANINGS[action]}\n\nExample: `edgetally-fleet rollout {action} 7`")(command)


for _action in ACTIONS:
    _add(_action)


def _print_plan(spec: RolloutSpec, planned: Planned) -> None:
    from fleet.printing import print_out
    from fleet.rollout.amounts import show_boxes
    from fleet.rollout.show import plan_table

    typer.echo(f"{spec.model} {spec.version} to {show_boxes(planned.boxes)}, waves {','.join(map(str, spec.waves))}:")
    print_out(plan_table(planned))
    for note in planned.notes:
        typer.echo(f"note: {note}")


def _confirmed(boxes: int, *, yes: bool) -> bool:
    from fleet.rollout.amounts import show_boxes

    if not boxes:
        raise WrittenError("no box would get it; look at --select, and at the notes above")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise WrittenError("this changes boxes, so it asks first; give --yes where nobody can answer, or --dry-run")
    return typer.confirm(f"Start it on {show_boxes(boxes)}?")


def _states(names: Sequence[str]) -> list[BoxState]:
    from fleet.rollout.boxes import BOX_STATES

    known = {state: state for state in BOX_STATES}
    for name in names:
        if name not in known:
            raise UnknownNameError("state of a box", name, known)
    return [known[name] for name in BOX_STATES if name in names]
