"""From a target of the metadata to a release, and what to say where there is none. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from agent.update.errors import UpdateError
from agent.update.ports import Release
from contracts.documents import ID_RULE, Id, document_error
from contracts.errors import did_you_mean
from contracts.release import LARGEST_MANIFEST, TARGETS, Blob, ReleaseInfo, Version, model_role

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile

    from agent.update.trust.verify import Verified

_NAMES: TypeAdapter[tuple[str, str]] = TypeAdapter(tuple[Id, Version])
_NAMED = 5  # versions that an error repeats


def check_names(model: str, version: str) -> None:
    """See that a release can be called that, before its names become paths.

    Raises:
        UpdateError: it cannot, so there is none.
    """
    try:
        _NAMES.validate_python((model, version))
    except ValidationError:
        raise UpdateError(
            "unknown_release",
            f"expected the name of a model ({ID_RULE}) and a version like 1.2.0, got {model[:64]!r} and "
            f"{version[:64]!r}; see what the repository has",
        ) from None


def as_release(model: str, version: str, target: TargetFile) -> Release:
    """The release that a target stands for.

    Raises:
        UpdateError: it was withdrawn, or is not what its path says.
    """
    try:
        info = ReleaseInfo.model_validate(target.custom)
        manifest = Blob.model_validate({"sha256": target.hashes.get("sha256"), "size": target.length})
    except ValidationError as error:
        raise _invalid(target.path, str(document_error(ReleaseInfo, error, "its entry"))) from None
    if (info.model, info.version) != (model, version):
        raise _invalid(target.path, f"expected {model} {version} in its entry, got {info.model} {info.version}")
    if manifest.size > LARGEST_MANIFEST:
        raise _invalid(target.path, f"expected at most {LARGEST_MANIFEST} bytes, got {manifest.size}")
    if info.withdrawn is not None:
        raise UpdateError(
            "withdrawn",
            f"{model} {version} was withdrawn on {info.withdrawn.at:%Y-%m-%d} ({_one_line(info.withdrawn.reason)}); "
            "ask for another version",
        )
    folder, _, name = target.path.rpartition("/")
    return Release(info, manifest, f"{TARGETS}/{folder}/{manifest.sha256}.{name}")


def unknown(model: str, version: str, verified: Verified) -> UpdateError:
    """Nobody released it; names what there is instead."""
    models = verified.models()
    if model not in models:
        what, name, known = "model", model, models
    else:
        what, name, known = f"version of {model}", version, verified.versions(model, model_role(model))
    return UpdateError(
        "unknown_release",
        f"the repository has no {what} {name!r}; release it, or ask for what there is ({_named(known)})"
        f"{did_you_mean(name, known)}",
    )


def _named(names: list[str]) -> str:
    if not names:
        return "none"
    left_out = len(names) - _NAMED
    shown = ", ".join(names[-_NAMED:])
    return f"{shown} and {left_out} more" if left_out > 0 else shown


def _invalid(path: str, problem: str) -> UpdateError:
    return UpdateError("metadata_invalid", f"{path} in the repository: {problem}; release it anew")


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
