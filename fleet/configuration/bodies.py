"""What a layer may say: checked when it is written, as far as that can be before its placeholders are filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from contracts.desired import DesiredConfig, canonical
from contracts.errors import DocumentError
from contracts.layers import NAME_KEYS, Path
from contracts.wrong_fields import doubled_names, wrong_fields
from fleet.configuration.masking import MASK, has_mask, with_secrets_of
from fleet.configuration.placeholders import fill, has_placeholders, with_samples, wrong_placeholders

LARGEST_CONFIG = 180_000
"""Bytes of a box's configuration: in Base64, with the models and a signature, a document of them is still taken."""

_OF_THE_VALUE = frozenset({"literal_error", "string_pattern_mismatch", "string_too_short", "string_too_long"})
"""What a text with a placeholder may be found wrong for before it is filled in; each box's own is checked again."""


def read_body(
    document: Mapping[str, object], where: str, before: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A layer's keys, checked.

    Args:
        document: as it was written.
        where: the file or request that it came from; it begins the error's text.
        before: the layer's keys until now: what of them `masking.masked` hid may be handed in as it was shown.

    Raises:
        DocumentError: a key or value is wrong, or secrets are not given; every one is named.
    """
    try:
        keys = with_secrets_of(document, before or {})
        problems = [*_wrong_dollars(keys), *_read(keys, template=True)[1]]
        if has_mask(keys):
            problems.append(f"{MASK!r} stands for what was not shown; write the value, or take the key out")
    except RecursionError:
        raise DocumentError(where, ["expected part of agent.toml, got lists inside lists without end"]) from None
    if problems:
        raise DocumentError(where, problems)
    return keys


def plain_config(keys: Mapping[str, object]) -> tuple[bytes | None, list[str]]:
    """The canonical form of a box's configuration, its secrets in it; or what is wrong with the keys."""
    config, problems = _read(keys, template=False)
    if config is None or problems:
        return None, problems
    document = canonical(_revealed(config.keys))
    if len(document) > LARGEST_CONFIG:
        return None, [f"the configuration has {len(document)} bytes; expected {LARGEST_CONFIG} at most"]
    return document, []


def _read(keys: Mapping[str, object], *, template: bool) -> tuple[DesiredConfig | None, list[str]]:
    checked = fill(keys, lambda _, text: with_samples(text)) if template else keys
    try:
        # From text, as the box reads it: only there a strict list may become a tuple.
        config = DesiredConfig.model_validate_json(canonical(checked), strict=True)
    except ValidationError as error:
        unless = _is_a_samples_fault(keys) if template else _never
        return None, [one.problem for one in wrong_fields(DesiredConfig, error, checked, unless)]
    except (TypeError, ValueError) as error:  # a date of TOML; infinity, half of a surrogate pair
        return None, [f"a value is nothing that JSON has: {error}"]
    return config, [one.problem for one in doubled_names(config)]


def _never(_: ErrorDetails) -> bool:
    return False


def _is_a_samples_fault(keys: Mapping[str, object]) -> Callable[[ErrorDetails], bool]:
    def is_it(detail: ErrorDetails) -> bool:
        location = detail["loc"]
        return detail["type"] in _OF_THE_VALUE and not _is_name(location) and has_placeholders(_at(keys, location))

    return is_it


def _is_name(location: Sequence[int | str]) -> bool:
    """Whether it is what a camera, line or zone is called: layers are merged by it, so it is filled in with nothing."""
    return len(location) > 2 and NAME_KEYS.get(str(location[-3])) == location[-1]  # noqa: PLR2004 - list, row, name


def _at(value: object, location: Sequence[int | str]) -> object:
    for part in location:
        if isinstance(part, str) and isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(part, int) and isinstance(value, list | tuple) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _wrong_dollars(keys: Mapping[str, object]) -> list[str]:
    found: list[str] = []

    def look(at: Path, text: str) -> str:
        found.extend(f"'{'.'.join(at)}': {wrong}" for wrong in wrong_placeholders(text))
        return text

    fill(keys, look)
    return found


def _revealed(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _revealed(inner) for key, inner in value.items()}
    return [_revealed(inner) for inner in value] if isinstance(value, list | tuple) else value
