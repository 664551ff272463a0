"""What went wrong with a broker, and what a person can do about it."""

from __future__ import annotations

import socket
import ssl
from typing import Literal

from contracts.errors import BrokerError

Kind = Literal["version", "silent", "closed", "other"]
"""``version``: the broker does not know this version of MQTT; ``silent``, ``closed``: it said nothing, or hung up."""

UNSUPPORTED_VERSION = 132
TAKEN_OVER = 142
PACKET_TOO_LARGE = 149

_LATER = "nothing to do here, it is tried again"
_CREDENTIALS = "check 'username' and 'password' (or the client certificate) and the broker's access rules"
_CURES = {
    133: "the broker does not take this device's name as client id: change its rules, or the device's name",
    134: _CREDENTIALS,
    135: _CREDENTIALS,
    136: _LATER,
    137: _LATER,
    138: "ask whoever runs the broker why",
    140: _CREDENTIALS,
    151: "raise the broker's quota for this device",
    159: _LATER,
}

_CERTIFICATES = {
    9: ("its certificate is not valid yet", "check this box's clock"),
    10: ("its certificate has expired", "renew the broker's certificate, or check this box's clock"),
    62: ("its certificate is for another host", "set 'host' to a name in the broker's certificate"),
    64: ("its certificate is for another address", "set 'host' to a name in the broker's certificate"),
}
_ALERTS = {
    "certificate required": ("it asks for a client certificate", "set 'tls.certificate' and 'tls.key'"),
    "handshake failure": ("it asks for a client certificate, or other ciphers", "set 'tls.certificate' and 'tls.key'"),
    "certificate expired": ("this client's certificate has expired", "renew the file of 'tls.certificate'"),
    "unknown ca": (
        "it does not trust this client's certificate",
        "have 'tls.certificate' signed by an authority that the broker trusts",
    ),
    "bad certificate": ("it refuses this client's certificate", "check 'tls.certificate'"),
    "certificate revoked": ("this client's certificate was revoked", "get a new 'tls.certificate'"),
}


class ConnectError(BrokerError):
    """A connection did not come about.

    Args:
        broker: ``host:port``.
        problem: what it said, with its reason code where it gave one.
        do: what a person can do about it.
        kind: whether another version of MQTT might help.
    """

    def __init__(self, broker: str, problem: str, do: str, kind: Kind = "other") -> None:
        super().__init__(broker, problem, do)
        self.kind: Kind = kind


def refused(broker: str, code: int, name: str) -> ConnectError:
    """The broker's CONNACK said no."""
    kind: Kind = "version" if code == UNSUPPORTED_VERSION else "other"
    do = _CURES.get(code, "look up the reason in the broker's log")
    return ConnectError(broker, f"refused the connection: {name} (reason code {code})", do, kind)


def unreachable(broker: str, error: Exception, seconds: float) -> ConnectError:
    """TCP or TLS did not come about.

    Args:
        broker: ``host:port``.
        error: what the system said.
        seconds: how long was waited.
    """
    problem, do = _explain(error, seconds)
    return ConnectError(broker, problem, do)


def closed(broker: str, detail: str) -> ConnectError:
    """The connection ended before the broker answered.

    Args:
        broker: ``host:port``.
        detail: what the system said, or an empty string.
    """
    for alert, (problem, do) in _ALERTS.items():
        if alert in detail.lower().replace("_", " "):
            return ConnectError(broker, problem, do)
    said = f" ({detail})" if detail else ""
    do = "check that 'port' speaks MQTT, and TLS where 'tls' is set and only there"
    return ConnectError(broker, f"closed the connection without an answer{said}", do, "closed")


def silent(broker: str, seconds: float) -> ConnectError:
    """The broker took the connection and said nothing."""
    do = "check that 'port' speaks MQTT, and TLS where 'tls' is set and only there"
    return ConnectError(broker, f"no answer to CONNECT within {seconds:g} s", do, "silent")


def _explain(error: Exception, seconds: float) -> tuple[str, str]:  # noqa: PLR0911 - one return a kind of error
    if isinstance(error, socket.gaierror):
        return f"its name is not known here ({error.strerror})", "check 'host' and this box's name server"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)", "check 'host' and 'port', and that the broker runs"
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s", "check 'host', 'port', the network and firewalls"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_certificate(error)
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error)
    if isinstance(error, ConnectionError):
        return "it closed the connection", "check that 'port' speaks MQTT, and TLS where 'tls' is set and only there"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text, "check 'host', 'port' and the network"


def _explain_certificate(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    known = _CERTIFICATES.get(error.verify_code)
    if known:
        return known
    return (
        f"its certificate cannot be verified ({error.verify_message})",
        "set 'tls.ca' to the certificate of the authority that signed it",
    )


def _explain_tls(error: ssl.SSLError) -> tuple[str, str]:
    reason = (error.reason or str(error)).lower().replace("_", " ")
    for alert, explained in _ALERTS.items():
        if alert in reason:
            return explained
    if "wrong version" in reason or "record layer" in reason or "eof" in reason:
        return "it does not speak TLS there", "leave 'tls' out, or set 'port' to the broker's TLS port (often 8883)"
    return f"TLS failed ({reason})", "check 'tls' and the broker's TLS settings"
