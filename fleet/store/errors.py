"""What keeps the database from being used."""

from __future__ import annotations

from contracts.errors import EdgetallyError


class DatabaseError(EdgetallyError):
    """The database cannot be reached, written or understood.

    Args:
        where: its address, without a password.
        problem: what it said.
        do: what a person can do about it.
    """

    def __init__(self, where: str, problem: str, do: str) -> None:
        self.problem = problem
        super().__init__(f"database {where}: {problem}; {do}")


class RejectedError(DatabaseError):
    """It is there, and does not take what should be written: trying again changes nothing."""
