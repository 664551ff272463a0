"""What keeps a repository from being read or changed."""

from __future__ import annotations

from typing import ClassVar

from contracts.errors import EdgetallyError


class RepositoryError(EdgetallyError):
    """A repository is not what it should be: damaged, not signed by its keys, or not there.

    Args:
        where: its address, or a file of it.
        problem: what was expected and what came.
        do: what a person can do about it.
    """

    def __init__(self, where: str, problem: str, do: str) -> None:
        self.where = where
        self.problem = problem
        super().__init__(f"{where}: {problem}; {do}")


class ConflictError(RepositoryError):
    """Somebody else changed the repository meanwhile; nothing of theirs is lost, nothing of ours is visible."""


class ReleaseError(EdgetallyError):
    """This bundle or release cannot be published, withdrawn or exported as it was asked for."""


class KeyFileError(EdgetallyError):
    """A key file cannot be read, written or opened.

    Args:
        where: the file or folder.
        problem: what was expected and what came; never a passphrase.
        do: what a person can do about it.
    """

    def __init__(self, where: str, problem: str, do: str) -> None:
        super().__init__(f"{where}: {problem}; {do}")


class KeysMissingError(EdgetallyError):
    """Too few private keys of a role are at hand.

    Args:
        role: the TUF role that is to be signed.
        needed: how many signatures it needs.
        missing: names or key ids of the keys that were not found.
        looked: the folders that were searched.
        do: what a person can do about it.
    """

    def __init__(self, role: str, needed: int, missing: list[str], looked: list[str], do: str) -> None:
        self.role = role
        super().__init__(
            f"signing {role!r} needs {needed} private key{'s' if needed > 1 else ''} of its own; "
            f"not found in {', '.join(looked) or 'no folder'}: {', '.join(missing)}; {do}"
        )


class ExpiresSoonError(EdgetallyError):
    """All is well now, but something has to be signed anew before long."""

    exit_code: ClassVar[int] = 3
