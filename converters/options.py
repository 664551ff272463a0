"""Options of targets that a person sets on the command line, for one build. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.errors import DocumentError, UnknownNameError
from converters.table import FAMILIES
from targets.load import Target, load_target

FLAG = "--option"

Options = Mapping[str, Mapping[str, str]]
"""Target to what is set for it."""


def parse_options(texts: Sequence[str]) -> Options:
    """What ``TARGET.KEY=VALUE`` sets, checked as far as its family's row says.

    Raises:
        DocumentError: it is written otherwise, given twice, or its target has no options.
        UnknownNameError: there is no such target, option or value.
    """
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, dot, setting = text.partition(".")
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (dot and equals and key and value):
            raise DocumentError(
                FLAG, [f"expected TARGET.KEY=VALUE, got {text!r}; write x86-onnxruntime.int8=u8u8, for example"]
            )
        target = load_target(name.strip())
        _check(target, key, value)
        if found.setdefault(target.name, {}).setdefault(key, value) != value:
            raise DocumentError(FLAG, [f"{target.name}.{key} is given twice; keep one of the two"])
    return found


def with_options(targets: Sequence[Target], options: Options) -> list[Target]:
    """The targets with their options set.

    Raises:
        DocumentError: one is set for a target that is not built.
    """
    strange = options.keys() - {target.name for target in targets}
    if strange:
        raise DocumentError(FLAG, [f"{min(strange)!r} is not among the targets that are built"])
    return [
        target.model_copy(update={"options": {**target.options, **options.get(target.name, {})}}) for target in targets
    ]


def _check(target: Target, key: str, value: str) -> None:
    known = FAMILIES[target.family].settable
    if not known:
        raise DocumentError(FLAG, [f"target {target.name!r} has no option to set, got {key!r}; leave it out"])
    if key not in known:
        raise UnknownNameError(f"option of {target.name}", key, known)
    values = known[key]
    if values and value not in values:
        raise UnknownNameError(f"value of {target.name}.{key}", value, values)
