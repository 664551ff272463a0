"""From bytes to a desired document: whatever comes, the result is a document or a refusal with its code."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import ValidationError

from agent.remote.refusals import DocumentRefusedError, invalid
from contracts.desired import LARGEST_DOCUMENT, Desired, DesiredConfig, canonical
from contracts.wrong_fields import doubled_names, wrong_fields

_DEEPEST = 16  # objects and lists inside one another; a zone's point is at 7


def parse_json(payload: bytes) -> dict[str, object]:
    """A JSON object, with every key once.

    Raises:
        DocumentRefusedError: it is too large, or not that.
    """
    if len(payload) > LARGEST_DOCUMENT:
        raise DocumentRefusedError(
            "too_large", f"the document has {len(payload)} bytes; expected {LARGEST_DOCUMENT} at most, name fewer keys"
        )
    try:
        document = json.loads(payload.decode(), object_pairs_hook=_object, parse_constant=_no_number)
        canonical(document)
        _check_depth(document)
    except UnicodeDecodeError as error:
        raise _not_json(f"a byte at {error.start} that is not UTF-8") from None
    except RecursionError:
        raise _not_json("lists inside lists without end") from None
    except ValueError as error:  # halves of surrogate pairs and numbers beyond a float, too
        raise _not_json(str(error)) from None
    if not isinstance(document, dict):
        raise _not_json(f"a {type(document).__name__}")
    return document


def read_desired(document: Mapping[str, object], device: str) -> Desired:
    """The document, validated.

    Args:
        document: what `parse_json` gave.
        device: the id of this box.

    Raises:
        DocumentRefusedError: it is bound to another device, or a field is wrong; every one is named.
    """
    bound = document.get("device")
    if isinstance(bound, str) and bound != device:
        raise DocumentRefusedError(
            "wrong_device", f"the document is bound to device {_short(bound)!r}, this is {device!r}; make one for it"
        )
    try:
        # From text, as only there a strict list may become a tuple and a strict string a time.
        desired = Desired.model_validate_json(canonical(document), strict=True)
    except ValidationError as error:
        raise invalid(wrong_fields(Desired, error, document)) from None
    doubled = doubled_names(desired.config, "config")
    if doubled:
        raise invalid(doubled)
    return desired


def read_part(document: Mapping[str, object]) -> DesiredConfig:
    """A part of the configuration that came from the local page, validated.

    Raises:
        DocumentRefusedError: a field is wrong; every one is named.
    """
    try:
        part = DesiredConfig.model_validate_json(canonical(document), strict=True)
    except ValidationError as error:
        raise invalid(wrong_fields(DesiredConfig, error, document)) from None
    except ValueError as error:
        raise _not_json(str(error)) from None
    doubled = doubled_names(part)
    if doubled:
        raise invalid(doubled)
    return part


def _check_depth(document: object) -> None:
    level = [document]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"more than {_DEEPEST} lists or objects inside one another")


def _inside(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {_short(doubled)!r} twice in one object")
    return found


def _no_number(text: str) -> object:
    raise ValueError(f"{text}, which JSON does not know")


def _not_json(what: str) -> DocumentRefusedError:
    return DocumentRefusedError("not_json", f"expected a JSON object, got {what}; publish the document as JSON")


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:63]}…"  # noqa: PLR2004 - as long as an id
