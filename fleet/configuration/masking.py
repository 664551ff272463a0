"""Part of a configuration as it may be shown: passwords, and what of an address may be one, are `MASK`."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.addresses import shown
from contracts.documents import without_credentials
from contracts.layers import NAME_KEYS, Path, leaves

MASK = "***"
"""Stands for what is not shown; nothing that is written may hold it."""

_CUT = "…"  # of contracts.documents


def masked(keys: Mapping[str, object]) -> dict[str, object]:
    """The same keys, with nothing secret in the values.

    Of a camera's source only what `contracts.addresses.shown` leaves, followed by `MASK` where that is not all.
    """
    return {key: _masked((key,), value) for key, value in keys.items()}


def _masked(at: Path, value: object) -> object:
    if at[-1] == "password" and value is not None:
        return MASK
    if isinstance(value, Mapping):
        return {key: _masked((*at, str(key)), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(at, inner) for inner in value]
    if not isinstance(value, str):
        return value
    if at == ("camera", "source"):
        address = without_credentials(shown(value)).replace(_CUT, MASK)
        return value if address == value else address if MASK in address else f"{address}/{MASK}"
    safe = without_credentials(value)
    return value if safe == value else safe.replace(_CUT, MASK) if _CUT in safe else f"{safe} {MASK}"


def with_secrets_of(keys: Mapping[str, object], before: Mapping[str, object]) -> dict[str, object]:
    """The keys with what `masked` hid put back, where the rest of the value is as it was shown.

    So what was shown may be changed and handed in again, and keeps the secrets that nobody saw.

    Args:
        keys: what was handed in.
        before: what was shown, unmasked.
    """
    known, hidden = leaves(before), leaves(masked(before))
    return {key: _restored((key,), value, known, hidden) for key, value in keys.items()}


def _restored(at: Path, value: object, known: Mapping[Path, object], hidden: Mapping[Path, object]) -> object:
    if at in known and value == hidden[at] and has_mask(value):
        return known[at]
    if isinstance(value, Mapping):
        return {key: _restored((*at, str(key)), inner, known, hidden) for key, inner in value.items()}
    name_key = NAME_KEYS.get(at[-1])
    if name_key is not None and isinstance(value, list):
        return [
            {key: _restored((*at, str(row.get(name_key)), key), inner, known, hidden) for key, inner in row.items()}
            if isinstance(row, Mapping)
            else row
            for row in value
        ]
    return value


def has_mask(value: object) -> bool:
    """Whether `MASK` stands in some text of it."""
    if isinstance(value, str):
        return MASK in value
    if isinstance(value, Mapping):
        return any(has_mask(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(has_mask(inner) for inner in value)
