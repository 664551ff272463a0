"""Whether the broker can be reached and lets us in, for ``edgetally-agent check``."""

from __future__ import annotations

import secrets

from agent.mqtt.bell import Bell
from agent.mqtt.ports import Attempt, Version
from agent.mqtt.problems import ConnectError
from agent.mqtt.session import open_session
from agent.mqtt.tls import make_context
from agent.mqtt.version import VersionChoice
from contracts.config import BrokerConfig


def check_broker(config: BrokerConfig, client_id: str | None = None, *, patience: float = 10.0) -> Version:
    """Connect and disconnect.

    Args:
        config: the broker.
        client_id: by default a random one, so that an agent that runs is not disconnected.
        patience: seconds to wait for TCP, for TLS and for the broker's answer, each.

    Returns:
        The version of MQTT that was agreed.

    Raises:
        BrokerError: it cannot be reached, or refuses; says why and what to do.
    """
    versions = VersionChoice(wanted=config.protocol)
    context = make_context(config)
    client_id = client_id or f"edgetally-check-{secrets.token_hex(4)}"
    bell = Bell()
    try:
        while True:
            version = versions.next()
            try:
                open_session(Attempt(config, client_id, version, context, bell, patience=patience)).close(politely=True)
            except ConnectError as error:
                if error.kind == "other" or version == "3.1.1" or config.protocol != "auto":
                    raise
                versions.failed(version, error)
            else:
                return version
    finally:
        bell.close()
