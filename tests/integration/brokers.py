"""Real brokers, and what stands between them and a box: everything runs on loopback and ends with its test."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from typing_extensions import Self

PASSWORD = "correct-horse"
PATIENCE = 60.0  # seconds; only a failing test waits that long


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for something that nobody tells of.

    Args:
        condition: that it is there.
        patience: seconds; a failing test waits that long.

    Raises:
        AssertionError: it did not happen within the patience.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)


class Mosquitto:
    """Mosquitto as a process of ours.

    Args:
        directory: for its configuration.
        lines: of the configuration, beside the listener.
        listener: of the listener, after its ``listener`` line.
    """

    def __init__(
        self, directory: Path, lines: Sequence[str] = ("allow_anonymous true",), listener: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self.log: list[str] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._config = directory / f"mosquitto-{self.port}.conf"
        # As root it would become another user, who may not read the test's files.
        rest = ["user root", f"listener {self.port} 127.0.0.1", *listener, *lines]
        self._config.write_text("per_listener_settings false\nlog_type all\n" + "\n".join(rest) + "\n")

    def start(self) -> Self:
        """Start it; returns once it takes connections."""
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
        if program is None:
            reason = "no Mosquitto here; run: apt-get install mosquitto"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        self._process = subprocess.Popen(
            [program, "-c", str(self._config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        seen = len(self.log)
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()
        self.wait_for_log(" running", seen)
        return self

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not ended since."""
        return self._process is not None

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it; twice is harmless."""
        self._end(signal.SIGTERM)

    def read_again(self) -> None:
        """Have it read its files of passwords and rules again, and disconnect whom they do not let in any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def wait_for_log(self, text: str, after: int = 0) -> None:
        """Wait until a line with that text was logged."""
        with self._changed:
            found = self._changed.wait_for(lambda: any(text in line for line in self.log[after:]), PATIENCE)
        assert found, f"{text!r} was not logged: {self.log[-20:]}"

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self._changed:
                self.log.append(line.rstrip())
                self._changed.notify_all()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        # Mosquitto 2.0 forgets a SIGTERM that comes between its line "running" and its main loop: say it again.
        for _ in range(int(PATIENCE)):
            self._process.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
                break
        assert self._process.returncode is not None, "Mosquitto did not end"
        assert self._reader is not None
        self._reader.join(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process = None


_OLD_BROKER = """
import asyncio, sys
from amqtt.broker import Broker

async def serve():
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{sys.argv[1]}"}}
    await Broker({"listeners": listeners, "plugins": plugins}).start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


class OldBroker:
    """amqtt: MQTT 3.1.1 only, and silent towards anything newer. A process of its own, for it leaves sockets open."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it; returns once it takes connections."""
        command = [sys.executable, "-c", _OLD_BROKER, str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "amqtt should start; is it installed?"
        return self

    def stop(self) -> None:
        """End it."""
        assert self._process is not None
        with self._process as process:
            process.kill()


def password_file(path: Path, names: Iterable[str]) -> Path:
    """A file for Mosquitto with these users, all with `PASSWORD`; names that its own tool refuses are possible."""
    path.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", path, "x", PASSWORD], check=True, capture_output=True)
    secret = path.read_text().partition(":")[2]
    path.write_text("".join(f"{name}:{secret}" for name in names))
    return path


@dataclass(frozen=True)
class Message:
    """What a watcher received."""

    topic: str
    payload: bytes
    retained: bool


class Watcher:
    """A client that notes all that the broker sends on.

    Args:
        port: of the broker.
        topic: what it subscribes to.
        client_id: a random one by default.
        qos: of its subscription.
        user: whom it logs in as, with `PASSWORD`; nobody by default.
    """

    def __init__(self, port: int, topic: str = "#", client_id: str = "", qos: int = 1, user: str = "") -> None:
        self.messages: list[Message] = []
        self.is_lost = False
        self._qos = qos
        self._changed = threading.Condition()
        self._topic = topic
        self._listens = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        if user:
            self._client.username_pw_set(user, PASSWORD)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = self._note_subscription
        self._client.on_message = self._note_message
        self._client.on_disconnect = self._note_loss
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self.wait_for(lambda: self._listens)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish; returns once the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE)

    def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish very many, in their order; returns once the broker has them."""
        sent = [self._client.publish(topic, payload, qos=1) for topic, payload in messages]
        wait_until(sent[-1].is_published)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until it holds.

        Raises:
            AssertionError: it did not within the patience.
        """
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), f"it did not happen; last came {self.messages[-3:]}"

    def payloads(self, ending: str) -> list[bytes]:
        """What came on topics with that ending."""
        return [message.payload for message in list(self.messages) if message.topic.endswith(ending)]

    def _subscribe(self, client: paho.Client, *_: object) -> None:
        client.subscribe(self._topic, qos=self._qos)

    def _note_subscription(self, *_: object) -> None:
        with self._changed:
            self._listens = True
            self._changed.notify_all()

    def _note_loss(self, *_: object) -> None:
        with self._changed:
            self.is_lost = True
            self._changed.notify_all()

    def _note_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append(Message(message.topic, bytes(message.payload), message.retain))
            self._changed.notify_all()


class Proxy:
    """Stands between a client and a broker, and can stop forwarding without closing anything.

    Where ``is_open`` is false it hangs up on new connections, as a load balancer does that has no broker to offer.

    Args:
        port: of the broker.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._frozen = threading.Event()
        self._ends = threading.Event()
        self._bell, self._clapper = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self.connections = 0
        self.is_open = True
        self._thread.start()

    def freeze(self) -> None:
        """Forward nothing more on the connections that are open; new ones work."""
        self._frozen.set()
        self._clapper.send(b"!")

    def close(self) -> None:
        """End it and every connection."""
        self._ends.set()
        self._clapper.send(b"!")
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            sockets: list[socket.socket] = [self._server, self._bell, self._clapper]
            while not self._ends.is_set():
                for key, _ in selector.select(PATIENCE):
                    if key.fileobj is self._server:
                        sockets += self._accept(selector)
                    elif key.fileobj is self._bell:
                        self._bell.recv(64)
                        self._forget(selector)
                    elif key.fd in selector.get_map():
                        self._forward(selector, key)
            for each in sockets:
                each.close()

    def _accept(self, selector: selectors.BaseSelector) -> list[socket.socket]:
        near, _ = self._server.accept()
        far = self._connect() if self.is_open else None
        if far is None:
            near.close()
            return []
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        self.connections += 1
        return [near, far]

    def _connect(self) -> socket.socket | None:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", self._target))
        return None

    def _forget(self, selector: selectors.BaseSelector) -> None:
        if self._frozen.is_set():
            self._frozen.clear()
            for key in [key for key in selector.get_map().values() if key.data is not None]:
                selector.unregister(key.fileobj)

    def _forward(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        near: Any = key.fileobj
        data = b""
        with contextlib.suppress(OSError):
            data = near.recv(65536)
            key.data.sendall(data)
        if not data:
            for each in (near, key.data):
                selector.unregister(each)
                each.close()


class Authority:
    """A certificate authority of the test's own, by the ``openssl`` command.

    Args:
        directory: where its files go.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca.key"
        self._openssl(
            "req", "-x509", *self._new_key(self._key), "-out", self.certificate, "-subj", "/CN=test authority"
        )

    def revoke(self, certificate: Path) -> Path:
        """Revoke a certificate; returns the list of those revoked."""
        files = {name: self._directory / f"revoked.{name}" for name in ("cnf", "txt", "number", "pem")}
        files["txt"].touch()
        files["number"].write_text("01\n")
        rules = f"database = {files['txt']}\ncrlnumber = {files['number']}\ndefault_md = sha256\ndefault_crl_days = 2\n"
        files["cnf"].write_text(f"[ca]\ndefault_ca = this\n[this]\n{rules}")
        common = ("ca", "-config", files["cnf"], "-cert", self.certificate, "-keyfile", self._key)
        self._openssl(*common, "-revoke", certificate)
        self._openssl(*common, "-gencrl", "-out", files["pem"])
        return files["pem"]

    def issue(self, name: str, *, subject: str = "localhost", days: int = 2) -> tuple[Path, Path]:
        """A certificate and its key for a name and 127.0.0.1; negative days make one that has expired."""
        key, request, certificate = (self._directory / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
        names = f"subjectAltName=DNS:{subject}" + (",IP:127.0.0.1" if subject == "localhost" else "")
        self._openssl("req", *self._new_key(key), "-out", request, "-subj", f"/CN={subject}", "-addext", names)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", str(days), "-copy_extensions", "copy", "-out", certificate,
        )  # fmt: skip
        return certificate, key

    @staticmethod
    def _new_key(path: Path) -> tuple[object, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)

    @staticmethod
    def _openssl(*arguments: object) -> None:
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Mosquitto that lets everybody in."""
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.stop()
