"""What keeps a box from being provisioned."""

from __future__ import annotations

from contracts.errors import DeviceError, TransportError


class RefusedError(TransportError):
    """The server does not let this box in.

    Args:
        code: why, as fleet.enrolment.errors.RefusalCode; another word where it is none of enrolment's.
        message: what the server said, in a sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"this box is not let in ({code}): {message}")


class ProvisionedError(DeviceError):
    """The box has an identity already, or has none."""
