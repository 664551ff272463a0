"""Why a document is not taken: a code for machines, a sentence for people, and every wrong field by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.desired import Desired, RefusalCode, RefusedDocument, WrongField
from contracts.errors import TransportError

MOST_FIELDS = 100  # wrong fields that are told one by one; the rest is counted
_LONGEST = 300  # characters of a path and of a sentence


class DocumentRefusedError(TransportError):
    """A desired document is not taken.

    Args:
        code: for machines.
        reason: one sentence for people.
        errors: every wrong field.
    """

    def __init__(self, code: RefusalCode, reason: str, errors: Sequence[WrongField] = ()) -> None:
        self.code: RefusalCode = code
        self.reason = reason
        self.errors = tuple(errors)
        super().__init__(f"{reason} ({code})")


def refused_document(error: DocumentRefusedError, document: Mapping[str, object]) -> RefusedDocument:
    """The refusal as it is reported.

    Args:
        error: why.
        document: what came, as far as it could be read; it need not be valid.
    """
    errors, left_out = bounded(error.errors)
    return RefusedDocument(
        epoch=_number(document, "epoch"),
        config_revision=_number(document, "config_revision"),
        model_revision=_number(document, "model_revision"),
        code=error.code,
        reason=_short(error.reason),
        errors=errors,
        errors_left_out=left_out,
    )


def bounded(errors: Sequence[WrongField]) -> tuple[tuple[WrongField, ...], int]:
    """As many as a message may hold, each of bounded length, and how many were left out."""
    shown = tuple(WrongField(path=_short(one.path), problem=_short(one.problem)) for one in errors[:MOST_FIELDS])
    return shown, len(errors) - len(shown)


def invalid(errors: Sequence[WrongField]) -> DocumentRefusedError:
    """The refusal of a document with wrong fields."""
    count = len(errors)
    what = "a field is" if count == 1 else f"{count} fields are"
    first = f"; {errors[0].problem}" if errors else ""
    return DocumentRefusedError("invalid", f"{what} wrong{first}; mend it and publish a new revision", errors)


def _number(document: Mapping[str, object], key: str) -> int | None:
    """A revision as far as it is one: what a message may hold and a model takes."""
    value = document.get(key)
    if key not in Desired.model_fields or not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < 2**53 else None


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
