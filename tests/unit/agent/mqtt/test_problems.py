"""What a person reads where a broker cannot be reached."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from agent.mqtt import problems
from contracts.errors import BrokerError


def certificate_error(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    error.verify_message = message
    return error


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "problem", "do"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name is not known here", "check 'host'"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "nothing listens there", "check 'host' and 'port'"),
        (TimeoutError("timed out"), "no answer within 10 s", "firewalls"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable", "check 'host'"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "it closed the connection", "TLS where"),
        (certificate_error(10, "certificate has expired"), "its certificate has expired", "clock"),
        (certificate_error(9, "not yet valid"), "not valid yet", "clock"),
        (certificate_error(62, "hostname mismatch"), "is for another host", "set 'host'"),
        (certificate_error(19, "self-signed"), "cannot be verified (self-signed)", "set 'tls.ca'"),
        (ssl_error("WRONG_VERSION_NUMBER"), "does not speak TLS", "8883"),
        (ssl_error("TLSV1_ALERT_UNKNOWN_CA"), "does not trust this client's certificate", "tls.certificate"),
        (ssl_error("NO_CIPHERS_AVAILABLE"), "TLS failed (no ciphers available)", "check 'tls'"),
        (ValueError("embedded null"), "embedded null", "check 'host'"),
    ],
)
def test_why_it_cannot_be_reached_and_what_to_do(error: Exception, problem: str, do: str) -> None:
    said = problems.unreachable("host:1883", error, 10)
    assert isinstance(said, BrokerError)
    assert str(said).startswith("broker host:1883: ")
    assert problem in said.problem
    assert do in str(said)
    assert said.kind == "other"


def test_a_refusal_is_shown_by_name_and_number() -> None:
    said = problems.refused("host:1883", 135, "Not authorized")
    assert "refused the connection: Not authorized (reason code 135); check 'username' and 'password'" in str(said)
    assert said.kind == "other"


def test_an_unknown_refusal_points_to_the_brokers_log() -> None:
    assert "broker's log" in str(problems.refused("host:1883", 131, "Implementation specific error"))


def test_an_unsupported_version_is_told_apart() -> None:
    assert problems.refused("host:1883", 132, "Unsupported protocol version").kind == "version"


def test_hanging_up_without_a_word_is_told_apart() -> None:
    assert problems.closed("host:1883", "").kind == "closed"


def test_an_alert_after_the_handshake_is_not_taken_for_an_old_broker() -> None:
    detail = "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)"
    said = problems.closed("host:1883", detail)
    assert said.kind == "other"
    assert "asks for a client certificate; set 'tls.certificate'" in str(said)
