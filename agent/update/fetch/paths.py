"""Paths in a repository: they come from signed documents, and are checked all the same."""

from __future__ import annotations

from agent.update.errors import WrongAnswerError

_LONGEST = 1024  # characters; a manifest's path has below 200


def parts_of(path: str) -> list[str]:
    """The names that a path consists of, each fit to be a folder's or file's name and none that climbs.

    Raises:
        WrongAnswerError: the path could lead out of the repository, or is no path.
    """
    parts = path.split("/")
    if len(path) > _LONGEST or not all(map(_is_name, parts)):
        problem = f"expected a path inside the repository, got {path[:80]!r}"
        raise WrongAnswerError("the repository", problem, "release the model again")
    return parts


def _is_name(part: str) -> bool:
    return part not in {"", ".", ".."} and part.isprintable() and "\\" not in part
