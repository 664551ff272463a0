"""Asking the server over HTTPS, by urllib3. The token goes to nobody but the server that the invitation names.

Where the invitation has the SHA-256 of a certificate, that certificate is asked for first, over a connection that is
believed nothing; what has another digest is refused, and the one with it is all that the real connection trusts.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from pydantic import ValidationError

from agent.provisioning.errors import RefusedError
from agent.update.fetch.proxies import pool_through, proxy_for
from agent.update.fetch.web import NO_ANSWER, no_answer
from contracts.documents import MachineModel
from contracts.enrolment import CA_PATH, ENROL_PATH, LARGEST_ANSWER, RENEW_PATH, EnrolAnswer, EnrolRequest, RenewRequest
from contracts.errors import RuntimeMissingError, ServerError
from contracts.version import VERSION

if TYPE_CHECKING:
    import urllib3

_CONNECT = 15.0  # seconds
_SILENCE = 30.0
_LONGEST = 120.0
_CHUNK = 65_536
_LARGEST_CA = 65_536  # bytes
_OK = 200
_TOO_MANY = 429
_SHOWN = 300
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


class HttpsServer:
    """A server that is asked over HTTPS.

    Args:
        server: its address, ``https://HOST[:PORT]``.
        ca: SHA-256 of the certificate of who signed the server's; None for the system's certificates.
        clock: seconds, monotonic.
    """

    def __init__(self, server: str, ca: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._ca = ca
        self._clock = clock
        self._trust: ssl.SSLContext | None = None

    def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Ask to be let in; see `agent.provisioning.ports.EnrolServer`."""
        document = {**request.model_dump(exclude_none=True), "token": request.token.get_secret_value()}
        return self._answer(ENROL_PATH, document)

    def renew(self, request: RenewRequest) -> EnrolAnswer:
        """Ask for the next certificate; see `agent.provisioning.ports.EnrolServer`."""
        return self._answer(RENEW_PATH, request.model_dump())

    def _answer(self, path: str, document: object) -> EnrolAnswer:
        status, body = self._exchange("POST", path, self._context(), LARGEST_ANSWER, json.dumps(document).encode())
        if status != _OK:
            raise self._refusal(status, body)
        try:
            return EnrolAnswer.model_validate_json(body)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, one["loc"])) or "all of it" for one in error.errors()})[:5])
            raise self._wrong(f"an answer that does not fit: {fields}") from None

    def _refusal(self, status: int, body: bytes) -> RefusedError | ServerError:
        try:
            said = _Refusal.model_validate_json(body)
        except ValidationError:
            return self._wrong(f"status {status}, not an answer of edgetally-fleet")
        message = "".join(letter for letter in said.message[:_SHOWN] if letter.isprintable())
        if status >= 500 or status in {404, _TOO_MANY}:  # noqa: PLR2004 - a server's own trouble
            return ServerError(self._server, f"it says: {message}", "try again later, or ask who runs it")
        return RefusedError(said.error[:64] if said.error.isidentifier() else "refused", message)

    def _context(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = ssl.create_default_context() if self._ca is None else self._pinned(self._ca)
        return self._trust

    def _pinned(self, digest: str) -> ssl.SSLContext:
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        nobody.check_hostname = False
        nobody.verify_mode = ssl.CERT_NONE  # what comes is held against its digest
        status, body = self._exchange("GET", CA_PATH, nobody, _LARGEST_CA)
        if status != _OK:
            raise self._refusal(status, body)
        found = (_der(pem) for pem in _CERTIFICATE.findall(body.decode("ascii", "replace")))
        der = next((der for der in found if hashlib.sha256(der).hexdigest() == digest), None)
        if der is not None:
            return _trusting(der)
        raise ServerError(
            self._server,
            "it does not show the authority whose SHA-256 the invitation names, so it is another server, or somebody "
            "is in between",
            "check its address and the invitation; nothing was sent to it",
        )

    def _exchange(
        self, method: str, path: str, context: ssl.SSLContext, largest: int, data: bytes | None = None
    ) -> tuple[int, bytes]:
        try:
            import urllib3
        except ImportError as error:
            raise RuntimeMissingError("provisioning", "urllib3", "provision") from error
        url = f"{self._server}{path}"
        headers = {"User-Agent": f"edgetally/{VERSION}", "Accept-Encoding": "identity"}
        headers |= {} if data is None else {"Content-Type": "application/json"}
        try:
            with warnings.catch_warnings(), pool_through(proxy_for(url, getproxies_environment()), context) as pool:
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)  # we know: see `_pinned`
                response = pool.request(
                    method,
                    url,
                    body=data,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=_CONNECT, read=_SILENCE),
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                try:
                    return response.status, self._body(response, largest)
                finally:
                    response.close()
        except (*NO_ANSWER, urllib3.exceptions.HTTPError) as error:
            raise _said(self._server, error) from error

    def _body(self, response: urllib3.BaseHTTPResponse, largest: int) -> bytes:
        ends, body = self._clock() + _LONGEST, b""
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > largest:
                raise self._wrong(f"more than {largest} bytes")
            if self._clock() > ends:
                raise self._wrong(f"no whole answer in {_LONGEST:.0f} s")
        return body

    def _wrong(self, came: str) -> ServerError:
        return ServerError(self._server, f"expected an answer of edgetally-fleet, got {came}", "check its address")


class _Refusal(MachineModel):
    error: str
    message: str


def _der(pem: str) -> bytes:
    try:
        return ssl.PEM_cert_to_DER_cert(pem)
    except ValueError:  # no base64
        return b""


def _trusting(der: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the host's name is checked
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=der)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be a root
    return context


def _said(server: str, error: Exception) -> ServerError:
    """What went wrong between here and there; in its own words where the clock is wrong, as boxes often begin so."""
    reason = getattr(error, "reason", None) or error.__context__ or error
    text = str(reason if isinstance(reason, Exception) else error)
    if "not yet valid" in text or "has expired" in text:
        today = time.strftime("%Y-%m-%d", time.gmtime())
        return ServerError(
            server, f"its certificate does not hold on {today}, which this box takes for today", "set the box's clock"
        )
    if "CERTIFICATE_VERIFY_FAILED" in text:
        host = urlsplit(server).hostname
        return ServerError(
            server,
            f"its certificate is not for {host}, or not signed by whom the invitation names",
            "check the address, and that the invitation has the SHA-256 of its authority (`edgetally-fleet ca show`)",
        )
    return no_answer(server, error)
