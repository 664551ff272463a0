"""`check_broker` against real brokers: every reason why a box cannot connect is said, and no secret with it."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.mqtt import check_broker
from agent.mqtt.tls import _TidySocket
from contracts.config import BrokerConfig, TlsConfig
from contracts.errors import BrokerError
from tests.integration.brokers import Authority, Mosquitto, OldBroker, free_port, mosquitto

__all__ = ["mosquitto"]

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Mosquitto]:
    """Mosquitto that asks for a password."""
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "box", SECRET], check=True, capture_output=True)
    broker = Mosquitto(tmp_path, ["allow_anonymous false", f"password_file {passwords}"]).start()
    yield broker
    broker.stop()


StartWithTls = Callable[..., Mosquitto]


@pytest.fixture
def with_tls(tmp_path: Path, authority: Authority) -> Iterator[StartWithTls]:
    """Starts Mosquitto with a certificate of the authority's."""
    brokers: list[Mosquitto] = []

    def start(server: tuple[Path, Path], *lines: str) -> Mosquitto:
        certificate, key = server
        listener = [f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}", *lines]
        brokers.append(Mosquitto(tmp_path, listener=listener))
        return brokers[-1].start()

    yield start
    for broker in brokers:
        broker.stop()


def test_a_broker_that_lets_us_in(mosquitto: Mosquitto) -> None:
    assert check_broker(BrokerConfig(host="127.0.0.1", port=mosquitto.port)) == "5"


def test_an_old_broker_that_lets_us_in() -> None:
    broker = OldBroker().start()
    try:
        assert check_broker(BrokerConfig(host="127.0.0.1", port=broker.port), patience=1.0) == "3.1.1"
    finally:
        broker.stop()


@pytest.mark.parametrize("password", ["wrong-" + SECRET, None])
def test_a_wrong_password_is_refused_with_its_reason_code(
    locked: Mosquitto, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    config = BrokerConfig(host="127.0.0.1", port=locked.port, username="box", password=password and SecretStr(password))
    with caplog.at_level(logging.DEBUG), pytest.raises(BrokerError) as refused:
        check_broker(config)
    assert "Not authorized (reason code 135); check 'username' and 'password'" in str(refused.value)
    assert SECRET not in caplog.text + str(refused.value) + repr(refused.value.__cause__) + repr(config)


def test_the_right_password_lets_us_in_and_is_not_logged(locked: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    config = BrokerConfig(host="127.0.0.1", port=locked.port, username="box", password=SecretStr(SECRET))
    with caplog.at_level(logging.DEBUG):
        assert check_broker(config) == "5"
    assert SECRET not in caplog.text


def test_nobody_listens() -> None:
    with pytest.raises(BrokerError, match=r"connection refused.*check 'host' and 'port'"):
        check_broker(BrokerConfig(host="127.0.0.1", port=free_port()))


def test_an_unknown_name() -> None:
    with pytest.raises(BrokerError, match="its name is not known here"):
        check_broker(BrokerConfig(host="broker.invalid"))


def test_somebody_listens_who_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = BrokerConfig(host="127.0.0.1", port=server.getsockname()[1])
        with pytest.raises(BrokerError, match=r"no answer to CONNECT within 0\.1 s; check that 'port' speaks MQTT"):
            check_broker(config, patience=0.1)


def test_tls_with_certificates_on_both_sides(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server"), "require_certificate true")
    certificate, key = map(str, authority.issue("client", subject="box-1"))
    tls = TlsConfig(ca=str(authority.certificate), certificate=certificate, key=key)
    for host in ("localhost", "127.0.0.1"):
        assert check_broker(BrokerConfig(host=host, port=broker.port, tls=tls)) == "5"


def test_a_missing_client_certificate_is_asked_for(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server"), "require_certificate true")
    with pytest.raises(BrokerError, match=r"it asks for a client certificate; set 'tls\.certificate' and 'tls\.key'"):
        check_broker(BrokerConfig(host="localhost", port=broker.port, tls=TlsConfig(ca=str(authority.certificate))))


def test_why_a_client_certificate_was_refused_is_said_also_where_sending_fails_first(
    with_tls: StartWithTls, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = with_tls(authority.issue("server"), "require_certificate true")
    original = _TidySocket.do_handshake

    def shake_and_wait(self: _TidySocket, block: bool = False) -> None:
        original(self, block)
        broker.wait_for_log("peer did not return a certificate")

    monkeypatch.setattr(_TidySocket, "do_handshake", shake_and_wait)
    with pytest.raises(BrokerError, match="it asks for a client certificate"):
        check_broker(BrokerConfig(host="localhost", port=broker.port, tls=TlsConfig(ca=str(authority.certificate))))


def test_an_expired_client_certificate(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server"), "require_certificate true")
    certificate, key = map(str, authority.issue("client", subject="box-1", days=-1))
    tls = TlsConfig(ca=str(authority.certificate), certificate=certificate, key=key)
    with pytest.raises(BrokerError, match="this client's certificate has expired; renew"):
        check_broker(BrokerConfig(host="localhost", port=broker.port, tls=tls))


def test_an_expired_server_certificate(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server", days=-1))
    with pytest.raises(BrokerError, match="its certificate has expired; renew the broker's certificate"):
        check_broker(BrokerConfig(host="localhost", port=broker.port, tls=TlsConfig(ca=str(authority.certificate))))


def test_a_certificate_for_another_host(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server", subject="other.example"))
    with pytest.raises(BrokerError, match="its certificate is for another host; set 'host'"):
        check_broker(BrokerConfig(host="localhost", port=broker.port, tls=TlsConfig(ca=str(authority.certificate))))


def test_an_authority_that_is_not_trusted(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server"))
    with pytest.raises(BrokerError, match=r"its certificate cannot be verified .*; set 'tls\.ca'"):
        check_broker(BrokerConfig(host="localhost", port=broker.port, tls=TlsConfig()))


def test_tls_towards_a_port_without(mosquitto: Mosquitto) -> None:
    with pytest.raises(BrokerError, match=r"it does not speak TLS there|closed the connection"):
        check_broker(BrokerConfig(host="127.0.0.1", port=mosquitto.port, tls=TlsConfig()))


def test_no_tls_towards_a_port_with(with_tls: StartWithTls, authority: Authority) -> None:
    broker = with_tls(authority.issue("server"))
    with pytest.raises(BrokerError, match=r"closed the connection without an answer.*TLS where 'tls' is set"):
        check_broker(BrokerConfig(host="127.0.0.1", port=broker.port))


def test_files_that_are_missing_or_do_not_fit(tmp_path: Path, authority: Authority) -> None:
    first, second = authority.issue("first"), authority.issue("second")
    config = BrokerConfig(host="localhost", tls=TlsConfig(ca=str(tmp_path / "missing.pem")))
    with pytest.raises(BrokerError, match=r"'tls\.ca' .*missing\.pem cannot be read \(No such file"):
        check_broker(config)
    mixed = TlsConfig(ca=str(authority.certificate), certificate=str(first[0]), key=str(second[1]))
    with pytest.raises(BrokerError, match="key values mismatch"):
        check_broker(BrokerConfig(host="localhost", tls=mixed))


def test_an_encrypted_key_does_not_ask_on_the_terminal(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.issue("client")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(locked), "-passout", f"pass:{SECRET}"]
    subprocess.run(command, check=True, capture_output=True)
    tls = TlsConfig(ca=str(authority.certificate), certificate=str(certificate), key=str(locked))
    with pytest.raises(BrokerError, match="unencrypted key"):
        check_broker(BrokerConfig(host="localhost", tls=tls))
