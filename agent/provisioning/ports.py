"""What provisioning needs from outside."""

from __future__ import annotations

from typing import Protocol

from contracts.enrolment import EnrolAnswer, EnrolRequest, RenewRequest


class EnrolServer(Protocol):
    """The server that lets boxes in."""

    def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Ask to be let in.

        Raises:
            RefusedError: it does not let this box in.
            ServerError: there is no answer, or another one than was expected.
        """

    def renew(self, request: RenewRequest) -> EnrolAnswer:
        """Ask for the next certificate; raises as `enrol`."""
