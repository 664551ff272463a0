"""What the commands of the inventory make of their options."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.config import BrokerConfig
from contracts.errors import EdgetallyError
from fleet.inventory_options import broker


def given(address: str, *, tls: bool = False, password: Path | None = None) -> BrokerConfig:
    return broker(address, None, password, None, None, None, tls=tls)


@pytest.mark.parametrize(
    ("address", "tls", "host", "port"),
    [
        ("broker", False, "broker", 1883),
        ("broker", True, "broker", 8883),
        ("broker:1234", True, "broker", 1234),
        ("::1", False, "::1", 1883),
        ("[::1]", False, "::1", 1883),
        ("[::1]:1234", False, "::1", 1234),
    ],
)
def test_a_broker_is_a_host_and_a_port(address: str, tls: bool, host: str, port: int) -> None:
    config = given(address, tls=tls)
    assert (config.host, config.port, config.tls is not None) == (host, port, tls)


@pytest.mark.parametrize("address", ["", ":", "broker:", "broker:x", "broker:70000", "broker:-1"])
def test_anything_else_is_refused(address: str) -> None:
    with pytest.raises(EdgetallyError, match="--broker"):
        given(address)


def test_a_password_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("geheim\n")
    config = given("broker", password=file)
    assert config.password is not None
    assert config.password.get_secret_value() == "geheim"
    assert "geheim" not in repr(config)
    with pytest.raises(EdgetallyError, match="--password-file"):
        given("broker", password=tmp_path / "none")
