"""Why a request is not carried out: a code for machines, a sentence for people."""

from __future__ import annotations

from contracts.errors import TransportError
from contracts.rpc import RpcCode


class RpcRefusedError(TransportError):
    """A request is not carried out.

    Args:
        code: for machines.
        reason: one sentence for people.
    """

    def __init__(self, code: RpcCode, reason: str) -> None:
        self.code: RpcCode = code
        self.reason = reason
        super().__init__(f"{reason} ({code})")
