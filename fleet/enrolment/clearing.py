"""Taking back what the broker keeps of a box that was decommissioned.

By the broker's rules nobody but the box writes its topics; so it is done as the box, with a certificate of a day whose
key is thrown away. That also ends a connection of the box that was open when its certificate was revoked.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from contracts.errors import BrokerError, WrittenError
from contracts.topics import Channel, Topic, discovery_topic
from fleet.enrolment.authority import Authority, new_key
from fleet.enrolment.authority_files import key_pem, write_pair

_SECONDS = 15.0
_KEEPALIVE = 30


def retained_topics(device: str, cameras: Iterable[str], prefixes: Iterable[str]) -> list[str]:
    """Every topic on which the broker may keep a message of a box.

    Args:
        device: the box.
        cameras: of it.
        prefixes: of Home Assistant's topics.
    """
    own = [channel for channel in Channel if channel.retained and channel.upward]
    plain = [str(Topic(device, channel)) for channel in own if not channel.named]
    of_cameras = [str(Topic(device, channel, camera)) for channel in own if channel.named for camera in cameras]
    return [*plain, *of_cameras, *(discovery_topic(prefix, device) for prefix in prefixes)]


def clear(
    host: str, port: int, broker_ca: Path | None, authority: Authority, device: str, topics: Sequence[str], now_ms: int
) -> None:
    """Take the messages of a box back.

    Args:
        host: of the broker.
        port: of it.
        broker_ca: PEM file of who signed its certificate; None for the system's certificates.
        authority: that signs boxes' certificates.
        device: the box.
        topics: where its messages are.
        now_ms: now.

    Raises:
        BrokerError: it cannot be reached, or does not let the box in.
        WrittenError: the file cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        key = new_key()
        issued = authority.issue(key.public_key(), device, now_ms, days=1)
        certificate = write_pair(Path(folder), "box", issued.pem, key_pem(key))
        try:
            context = ssl.create_default_context(cafile=broker_ca)
        except OSError as error:
            raise WrittenError(f"--broker-ca {broker_ca} cannot be read; name a PEM file of certificates") from error
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    _Clearing(f"{host}:{port}", context, device).run(host, port, topics)


class _Clearing:
    def __init__(self, broker: str, context: ssl.SSLContext, device: str) -> None:
        self._broker = broker
        self._answer: ReasonCode | None = None
        # 3.1.1, which every broker knows; nothing of the session stays.
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=device,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect

    def run(self, host: str, port: int, topics: Sequence[str]) -> None:
        try:
            self._client.connect(host, port, _KEEPALIVE)
            self._client.loop_start()
            sent = [self._client.publish(topic, b"", qos=1, retain=True) for topic in topics]
            for one in sent:
                one.wait_for_publish(_SECONDS)
            done = all(one.is_published() for one in sent)
        except (OSError, ValueError, RuntimeError) as error:
            raise BrokerError(self._broker, f"cannot be reached ({error})", "check --broker and --broker-ca") from error
        finally:
            self._client.disconnect()
            self._client.loop_stop()
        if not done:
            said = "it does not answer" if self._answer is None else f"it said {self._answer}"
            raise BrokerError(self._broker, said, "check that it trusts the authority, and try again")

    def _on_connect(self, _client: object, _data: object, _flags: object, code: ReasonCode, _props: object) -> None:
        self._answer = code
