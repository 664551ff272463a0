"""The TLS context: who is trusted, and who we are."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from agent.mqtt.problems import ConnectError
from contracts.config import BrokerConfig, TlsConfig


class _TidySocket(ssl.SSLSocket):
    """Closes itself where the handshake fails, which paho leaves to the garbage collector, and says why a send failed.

    With TLS 1.3 a broker refuses a client's certificate only after the handshake, and hangs up; what we send then fails
    for a reason that says nothing, while the alert that says it waits to be read.
    """

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the base class's signature
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 - any buffer
        try:
            return super().send(data, flags)
        except (ConnectionError, ssl.SSLEOFError):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.recv(1)  # raises the alert, where there is one
            raise


def make_context(config: BrokerConfig) -> ssl.SSLContext | None:
    """The context for a broker, None for plain TCP.

    Raises:
        ConnectError: a file is missing or is not what it should be.
    """
    if config.tls is None:
        return None
    context = _trusting(config.address, config.tls)
    if config.tls.certificate is not None:
        _identify(context, config.address, config.tls)
    return context


def _trusting(broker: str, tls: TlsConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)  # the host's name is checked, TLS is 1.2 at least
    except OSError as error:  # ssl.SSLError is one
        problem = f"'tls.ca' {tls.ca} cannot be read ({_said(error)})"
        raise ConnectError(broker, problem, "set it to a PEM file of certificates") from error
    context.sslsocket_class = _TidySocket
    return context


def _identify(context: ssl.SSLContext, broker: str, tls: TlsConfig) -> None:
    try:
        # An encrypted key would ask for its password on the terminal, and hang a service for ever.
        context.load_cert_chain(str(tls.certificate), tls.key, password=lambda: "")
    except OSError as error:
        problem = f"'tls.certificate' {tls.certificate} and 'tls.key' {tls.key} cannot be used ({_said(error)})"
        do = "set them to PEM files of a certificate and of its own unencrypted key, readable for this user"
        raise ConnectError(broker, problem, do) from error


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").lower().replace("_", " ")
    return error.strerror or str(error)
