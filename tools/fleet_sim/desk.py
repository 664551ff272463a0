"""Where a simulated box takes desired documents: the agent's own code reads, verifies and judges them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from agent.remote.parse import read_desired
from agent.remote.refusals import DocumentRefusedError, refused_document
from agent.remote.rules import Floors, Moment, judge, raised, unsigned_problems
from agent.remote.signing import Opened, open_payload
from contracts.desired import Desired, OperatorKeys

Revisions = tuple[int, int, int]
"""Epoch, the configuration's revision, the models'."""


class Taken(NamedTuple):
    """A document, and whether it is the one that was taken last."""

    desired: Desired
    verdict: Literal["new", "same"]


class Desk:
    """Takes a box's documents, and keeps what it took so far.

    Args:
        device: the box.
        keys: whose signatures it asks for; None where it asks for none.
    """

    def __init__(self, device: str, keys: OperatorKeys | None) -> None:
        self._device = device
        self._keys = keys
        self._floors = Floors()
        self._document: Mapping[str, object] = {}
        self.refused: dict[str, object] | None = None

    @property
    def came(self) -> Mapping[str, object]:
        """The newest document that could be read, taken or not."""
        return self._document

    def take(self, payload: bytes, moment: Moment) -> Taken:
        """Take a document.

        Raises:
            DocumentRefusedError: an agent would not take it either; `refused` is what is said of it.
        """
        self._document = {}
        try:
            taken = self._judged(open_payload(payload, self._keys), moment)
        except DocumentRefusedError as error:
            self.refused = refused_document(error, self._document).model_dump(mode="json")
            raise
        self.refused = None
        return taken

    def _judged(self, opened: Opened, moment: Moment) -> Taken:
        self._document = opened.document
        desired = read_desired(opened.document, self._device)
        if not opened.signed and (problems := unsigned_problems(desired)):
            raise DocumentRefusedError("needs_signature", f"{problems[0].problem}; sign it", problems)
        verdict = judge(desired, opened.document, self._floors, moment)
        if verdict == "new":
            self._floors = raised(desired, opened.document, self._floors, moment)
        return Taken(desired, verdict)


def revisions(document: Mapping[str, object]) -> Revisions | None:
    """Of a document that need not be valid; None where it does not tell them."""
    epoch, config = document.get("epoch"), document.get("config_revision")
    model = document.get("model_revision", 0)
    if isinstance(epoch, int) and isinstance(config, int) and isinstance(model, int):
        return epoch, config, model
    return None
