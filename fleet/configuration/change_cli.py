"""Changing a layer from the command line: what it would do is shown, and asked, before it is done."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from contracts.errors import WrittenError
from fleet.clock import wall_ms
from fleet.configuration.difference import unified
from fleet.configuration.layers import Layer, LayerName
from fleet.configuration.preview import Preview
from fleet.configuration.proposal import preview_change
from fleet.configuration.show import preview_document, preview_lines
from fleet.inventory_options import LayerStores
from fleet.publishing.options import print_json
from fleet.store.audit import Author
from fleet.store.layers import LayerConflictError, StoredLayer


@dataclass(frozen=True)
class Change:
    """A change of a layer.

    Args:
        name: which.
        every: all layers as they are.
        after: as it would be, None where it is removed.
        if_revision: the revision that it must have; that of ``every`` where None.
        author: who changes it.
    """

    name: LayerName
    every: Sequence[StoredLayer]
    after: Layer | None
    if_revision: int | None
    author: Author

    @property
    def before(self) -> StoredLayer | None:
        """The layer as it is."""
        return next((each for each in self.every if each.layer.name == self.name), None)

    @property
    def revision(self) -> int:
        """What the layer has to be when it is written.

        Raises:
            LayerConflictError: it is another one already.
        """
        now = 0 if self.before is None else self.before.revision
        if self.if_revision not in (None, now):
            raise LayerConflictError(self.name, self.if_revision or 0, self.before)
        return now


@dataclass(frozen=True)
class Manner:
    """How a change is to be made: only shown, not asked, told to a program."""

    dry_run: bool
    yes: bool
    as_json: bool


def carry_out(stores: LayerStores, change: Change, manner: Manner) -> None:
    """Show what a change would do, ask, and make it.

    Raises:
        LayerConflictError: somebody changed the layer meanwhile.
        WrittenError: nobody is there who could be asked.
    """
    revision = change.revision
    before = change.before.layer if change.before else None
    if before == change.after:
        _told(manner, None, f"{change.name} says that already (revision {revision}); nothing is changed", revision)
        return
    devices = (each.device for each in stores.devices.all())
    shown = preview_change(devices, [each.layer for each in change.every], change.name, change.after)
    if not manner.as_json:
        typer.echo("\n".join([*unified(before, change.after).splitlines(), "", *preview_lines(shown)]))
    if manner.dry_run:
        _told(manner, shown, "nothing is changed: --dry-run", revision)
        return
    _ask(manner)
    now_ms = wall_ms()
    if change.after is None:
        stores.layers.remove(change.name, revision, change.author, now_ms)
        _told(manner, shown, f"{change.name} is removed", None)
    else:
        stored = stores.layers.set(change.after, revision, change.author, now_ms)
        _told(manner, shown, f"{change.name} is revision {stored.revision}", stored.revision)


def _ask(manner: Manner) -> None:
    if manner.yes:
        return
    if manner.as_json or not _is_asked():
        raise WrittenError("nobody can be asked here; look at it with --dry-run, and then say --yes")
    typer.confirm("Change it?", abort=True)


def _is_asked() -> bool:
    """Whether somebody is there who could answer."""
    return sys.stdin.isatty()


def _told(manner: Manner, shown: Preview | None, text: str, revision: int | None) -> None:
    if manner.as_json:
        print_json({"said": text, "revision": revision, "preview": None if shown is None else preview_document(shown)})
    else:
        typer.echo(text)
