"""TLS towards web servers: whose certificates are believed, and with which one this box shows who it is."""

from __future__ import annotations

import ssl

from contracts.errors import ServerError
from contracts.update_config import UpdateConfig


def make_context(config: UpdateConfig, *, identify: bool) -> ssl.SSLContext:
    """The context: the server's name is checked, TLS is 1.2 at least.

    Args:
        config: whose ``ca``, ``certificate`` and ``key`` are used.
        identify: show the box's certificate to who asks for it.

    Raises:
        ServerError: a file is missing or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca)
    except OSError as error:  # ssl.SSLError is one
        problem = f"'update.ca' {config.ca} cannot be read ({_said(error)})"
        raise ServerError("TLS", problem, "set it to a PEM file of certificates") from error
    if identify and config.certificate is not None:
        _identify(context, config)
    return context


def _identify(context: ssl.SSLContext, config: UpdateConfig) -> None:
    try:
        # An encrypted key would ask for its password on the terminal, and hang a service for ever.
        context.load_cert_chain(config.certificate or "", config.key, password=lambda: "")
    except OSError as error:
        problem = f"'update.certificate' {config.certificate} and 'update.key' cannot be used ({_said(error)})"
        do = "set them to PEM files of a certificate and of its own unencrypted key, readable for this user"
        raise ServerError("TLS", problem, do) from error


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").lower().replace("_", " ")
    return error.strerror or str(error)
