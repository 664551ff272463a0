"""What pages and API show of layers, and do with them; both ask the same functions."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from contracts.errors import DocumentError, UnknownNameError
from contracts.layers import leaves
from contracts.toml_lines import toml_lines
from fleet.access.visitor import Visitor
from fleet.configuration.difference import unified
from fleet.configuration.layers import Layer, LayerName
from fleet.configuration.masking import masked
from fleet.configuration.preview import Preview
from fleet.configuration.proposal import Written, preview_change, proposed
from fleet.configuration.show import layer_document, preview_document, resolved_document
from fleet.console.console import Console
from fleet.console.errors import Refused
from fleet.console.layer_documents import LayerAnswer, PreviewAnswer, ResolvedAnswer
from fleet.store.layers import LayerConflictError, StoredLayer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def every(console: Console) -> list[LayerAnswer]:
    """All layers, the lowest first."""
    return [answer(each) for each in console.layers.all()]


def answer(stored: StoredLayer) -> LayerAnswer:
    """A layer as it is answered."""
    return LayerAnswer.model_validate(layer_document(stored))


def existing(console: Console, name: LayerName) -> StoredLayer:
    """A layer that is there.

    Raises:
        UnknownNameError: it is not.
    """
    stored = console.layers.get(name)
    if stored is None:
        raise UnknownNameError("layer", str(name), [str(each.layer.name) for each in console.layers.all()])
    return stored


def text_of(layer: Layer) -> str:
    """What it says, to be changed and handed in again: TOML, or JSON where a value is null, which TOML has not."""
    shown = masked(layer.keys)
    if None in leaves(shown).values():
        return json.dumps(shown, indent=2, ensure_ascii=False)
    return "\n".join(toml_lines(shown)).strip()


def read_text(text: str) -> dict[str, object]:
    """Keys that somebody wrote: TOML, or JSON where it begins with a brace.

    Raises:
        DocumentError: it is neither.
    """
    try:
        document: object = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # both decoders' own errors are ValueErrors
        raise DocumentError("what was written", [f"expected TOML, got something else: {error}"]) from None
    assert isinstance(document, dict)
    return document


@dataclass(frozen=True)
class LayerChange:
    """A change of a layer, looked at and not made.

    Args:
        name: of the layer.
        before: as it is.
        after: as it would be; None where it is removed.
        shown: what that does to the boxes.
    """

    name: LayerName
    before: StoredLayer | None
    after: Layer | None
    shown: Preview

    @property
    def revision(self) -> int:
        """Of the layer as it is, 0 where there is none."""
        return 0 if self.before is None else self.before.revision

    @property
    def diff(self) -> str:
        """Of the layer, unified; empty where it says that already."""
        return unified(self.before.layer if self.before else None, self.after)


def change(console: Console, name: LayerName, written: Written | None, expected: int | None = None) -> LayerChange:
    """See what a change would do.

    Args:
        console: that is asked.
        name: of the layer.
        written: what it should say; None: that it is removed.
        expected: the revision that it should have; any where None.

    Raises:
        LayerConflictError: it has another one.
        DocumentError: a key or value is wrong.
        WrittenError: a query or rank is wrong.
        UnknownNameError: a layer to be removed is not there.
    """
    stored = console.layers.all()
    before = next((each for each in stored if each.layer.name == name), None)
    if expected is not None and expected != (0 if before is None else before.revision):
        raise LayerConflictError(name, expected, before)
    if before is None and written is None:
        raise UnknownNameError("layer", str(name), [str(each.layer.name) for each in stored])
    after = None if written is None else proposed(name, written, before.layer if before else None)
    devices = (each.device for each in console.known.all())
    return LayerChange(name, before, after, preview_change(devices, [each.layer for each in stored], name, after))


def apply(console: Console, name: LayerName, written: Written, expected: int, visitor: Visitor) -> StoredLayer:
    """Make a layer, or replace what it says; what it says already is no change.

    Raises:
        LayerConflictError: it has another revision; nothing is changed.
        DocumentError: a key or value is wrong.
        WrittenError: a query or rank is wrong.
    """
    before = console.layers.get(name)
    if expected != (0 if before is None else before.revision):
        raise LayerConflictError(name, expected, before)
    after = proposed(name, written, before.layer if before else None)
    if before is not None and before.layer == after:
        return before
    return console.layers.set(after, expected, visitor.author, console.now_ms())


def remove(console: Console, name: LayerName, expected: int, visitor: Visitor) -> None:
    """Remove a layer.

    Raises:
        UnknownNameError: it is not there.
        LayerConflictError: it has another revision; nothing is changed.
    """
    existing(console, name)
    console.layers.remove(name, expected, visitor.author, console.now_ms())


def preview_answer(looked_at: LayerChange) -> PreviewAnswer:
    """What a change would do, as it is answered."""
    shown = looked_at.shown
    head = {"revision": looked_at.revision, "sentence": shown.sentence, "diff": looked_at.diff}
    return PreviewAnswer.model_validate({**head, **preview_document(shown)})


def resolved(console: Console, device: str) -> ResolvedAnswer:
    """What the layers make of a box.

    Raises:
        Refused: it is not known.
    """
    stored = console.devices.get(device)
    if stored is None:
        raise Refused(404, "not_found", f"no box {device[:64]!r} is known")
    layers = [each.layer for each in console.layers.all()]
    return ResolvedAnswer.model_validate(resolved_document(stored.device, layers))
