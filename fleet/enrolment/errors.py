"""Why a box is not let in, in a word for programs and a sentence for who stands before the box."""

from __future__ import annotations

from typing import Literal

from contracts.errors import WrittenError

RefusalCode = Literal[
    "token_unknown",
    "token_expired",
    "token_revoked",
    "token_used_up",
    "csr",
    "name_wrong",
    "name_not_allowed",
    "name_taken",
    "decommissioned",
    "certificate",
]
"""Why; docs/provisioning.md says of each what to do."""


class EnrolmentRefusedError(WrittenError):
    """A box is not let in, or gets no further certificate.

    Args:
        code: why.
        message: what was expected, what came, what to do.
    """

    def __init__(self, code: RefusalCode, message: str) -> None:
        self.code: RefusalCode = code
        super().__init__(message)
