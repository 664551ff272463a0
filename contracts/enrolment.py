"""How a box comes into a fleet: the invitation that it is given, what it asks the server, and what that answers.

An invitation is what a person carries to the box: as flags, as a file on a stick, or as the text of a QR code. It names
the server and, where that has a certificate of an authority of its own, the SHA-256 of that authority's certificate: so
the box knows from the first byte whom it talks to. Its token lets a box in; nothing else in it is secret.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import AwareDatetime, BeforeValidator, Field, SecretStr, field_validator

from contracts.desired import OperatorKey
from contracts.documents import Id, MachineModel, Sha256, WrittenModel, read_document
from contracts.errors import WrittenError
from contracts.update_config import Server

ENROL_PATH = "/api/enrol"
"""Where a box asks to be let in, below the server's address; `CA_PATH` has the authority, `RENEW_PATH` renews."""

CA_PATH = f"{ENROL_PATH}/ca"
RENEW_PATH = f"{ENROL_PATH}/renew"

LARGEST_REQUEST = 16_384  # bytes; a request for a certificate has some 500, a certificate some 700
LARGEST_ANSWER = 2_097_152  # bytes; the TUF root in it has 512 000 at most, and JSON may double that
LONGEST_TEXT = 2_000  # characters of an invitation; a QR code holds 2953 bytes at most (ISO/IEC 18004, table 7)
RENEW_CONTEXT = b"edgetally-renew-1\n"
"""What a signature on a request for renewal begins with, so that it is none on anything else."""

TOKEN_PATTERN = r"^enrol-[a-z2-7]{8}-[a-z2-7]{32}$"  # noqa: S105 - how a token looks
SCHEME = "edgetally"
"""Of an invitation as a text."""

_TOKEN = re.compile(TOKEN_PATTERN.strip("^$"))
_KEYS = frozenset({"ca", "token", "name"})
_SERVER = r"^https://[^\s@?#/\\]+(/[^\s@?#\\]*)?$"


def token_id(text: str) -> str | None:
    """The part of a token's text that names it, and is no secret; None where it is no token."""
    return text.split("-")[1] if _TOKEN.fullmatch(text) else None


def _plain(value: object) -> object:
    """A digest as people copy it: OpenSSL writes it in capitals, with colons."""
    return value.replace(":", "").lower() if isinstance(value, str) else value


class Invitation(WrittenModel):
    """What lets a box into a fleet."""

    server: str = Field(max_length=500, pattern=_SERVER, description="https://HOST[:PORT] of the fleet's console")
    token: SecretStr = Field(description="that `edgetally-fleet enrol token create` printed")
    ca: Annotated[Sha256 | None, BeforeValidator(_plain)] = Field(
        None, description="SHA-256 of the certificate of who signed the server's; none: the system's certificates"
    )
    name: Id | None = Field(None, description="that the box is to have; none: the server chooses")

    @field_validator("server")
    @classmethod
    def _can_be_asked(cls, server: str) -> str:
        try:
            port = urlsplit(server).port
        except ValueError:
            raise ValueError("'server' should be https://HOST or https://HOST:PORT") from None
        if port == 0:
            raise ValueError("'server' should have a port of 1 to 65535")
        return server.rstrip("/")

    @field_validator("token")
    @classmethod
    def _is_a_token(cls, token: SecretStr) -> SecretStr:
        if token_id(token.get_secret_value()) is None:
            raise ValueError(
                "'token' should be enrol-… as `edgetally-fleet enrol token create` printed it; copy it whole"
            )
        return token

    def text(self) -> str:
        """As a QR code holds it; with its token."""
        asked = {"ca": self.ca, "token": self.token.get_secret_value(), "name": self.name}
        given = urlencode({key: value for key, value in asked.items() if value is not None})
        return f"{SCHEME}://{quote(self.server.removeprefix('https://'), safe='/:[]%')}?{given}"


def read_invitation(text: str, where: str) -> Invitation:
    """The invitation in a text, as of a QR code.

    Args:
        text: ``edgetally://HOST[:PORT][/PATH]?token=…&ca=…&name=…``.
        where: it came from, for the error; the text itself is not shown, as it holds a token.

    Raises:
        DocumentError: a part of it does not fit.
        WrittenError: it is no invitation.
    """
    expected = f"{where}: expected {SCHEME}://HOST?token=… as `edgetally-fleet enrol qr` prints it, got"
    if len(text) > LONGEST_TEXT:
        raise WrittenError(f"{expected} {len(text)} characters")
    try:
        parts = urlsplit(text.strip())
        asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, max_num_fields=len(_KEYS))
    except ValueError:
        raise WrittenError(f"{expected} something else") from None
    names = [name for name, _ in asked]
    if parts.scheme != SCHEME or parts.fragment or not set(names) <= _KEYS or len(names) != len(set(names)):
        raise WrittenError(f"{expected} something else")
    return read_document(Invitation, {"server": f"https://{parts.netloc}{parts.path}", **dict(asked)}, where)


class EnrolRequest(MachineModel):
    """A box asks to be let in."""

    token: SecretStr = Field(max_length=128)
    csr: str = Field(max_length=4096, description="PEM: a request for a certificate, P-256")
    name: Id | None = None
    serial: str | None = Field(
        None, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$", description="of the board, as its maker gave it"
    )


class RenewRequest(MachineModel):
    """A box asks for the next certificate."""

    certificate: str = Field(max_length=4096, description="PEM: the one that it has")
    csr: str = Field(max_length=4096, description="PEM: a request for a certificate, P-256")
    signature: str = Field(
        max_length=256, description="base64: ECDSA with SHA-256 by the certificate's key, of `RENEW_CONTEXT` and `csr`"
    )


class BrokerAddress(MachineModel):
    """The broker that a box is to talk to, by TLS."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[^\s/@]+$")
    port: int = Field(ge=1, le=65_535)
    ca: str | None = Field(None, max_length=65_536, description="PEM of who signed its certificate; none: the system's")


class EnrolAnswer(MachineModel):
    """A box is let in."""

    device: Id
    certificate: str = Field(max_length=32_768, description="PEM: the box's, and those between it and the root")
    broker: BrokerAddress
    server_ca: str | None = Field(None, max_length=65_536, description="PEM of who signed this server's certificate")
    update_server: tuple[Server, ...] = Field((), max_length=8)
    root: str | None = Field(None, max_length=512_000, description="TUF root that the box is to trust first")
    operator_keys: dict[str, OperatorKey] | None = Field(None, max_length=16)
    labels: dict[Id, str] = Field(default_factory=dict, max_length=64)
    issued: AwareDatetime
    expires: AwareDatetime
