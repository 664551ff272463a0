"""Files for Mosquitto: its rules (``acl_file``), and a part of mosquitto.conf. Formats: acl and mosquitto.conf(5).

VerneMQ reads the same rules; its parser stumbles over empty lines, so there are none, and a line end after the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import WrittenError
from fleet.broker.rules import Rule, Users, device_rules

_WHOEVER = "%u"  # in a pattern: the name of whoever is connected
_MEGABYTE = 1_048_576
_LARGEST_PACKET = _MEGABYTE  # bytes; what the agent and the controller take, too
_AUTOSAVE_SECONDS = 30  # Mosquitto's own 1800 would lose so much of what is retained in a power cut
_QUEUED_MESSAGES = 10_000_000  # beyond what the bytes allow
_QUEUED_BYTES = 256 * _MEGABYTE  # for each client that is away; only the controller has something queued


def acl_file(users: Users, devices: Sequence[str] | None = None) -> str:
    """Mosquitto's file of rules.

    Args:
        users: who is not a box.
        devices: the ids of boxes; None for whoever the broker lets in, each below its own name.

    Raises:
        WrittenError: a box has the name of somebody else, whose rights it would have.
    """
    rules = users.rules()
    if shared := sorted(set(rules) & set(devices or ())):
        raise WrittenError(f"{shared[0]!r} is a box and a user, and would have the rights of both; rename the user")
    lines = ["# Who may do what; written by edgetally-fleet broker acl. What is not named here is refused."]
    for user, allowed in rules.items():
        lines += [f"user {user}", *(_line("topic", one) for one in allowed)]
    lines += _patterns(users) if devices is None else _of_boxes(users, devices)
    return "\n".join(lines) + "\n"


def _patterns(users: Users) -> list[str]:
    lines = [f"# {_WHOEVER} is the name of whoever is connected: a box's id"]
    return lines + [_line("pattern", one) for one in device_rules(_WHOEVER, users.prefixes)]


def _of_boxes(users: Users, devices: Sequence[str]) -> Iterator[str]:
    for device in devices:
        yield f"user {device}"
        yield from (_line("topic", one) for one in device_rules(device, users.prefixes))


def _line(kind: str, rule: Rule) -> str:
    access = "" if rule.access == "readwrite" else f"{rule.access} "  # VerneMQ has no word for both
    return f"{kind} {access}{rule.topic}"


@dataclass(frozen=True)
class Listener:
    """How Mosquitto is reached, always by TLS.

    Args:
        acl: its file of rules.
        certificate: the broker's, as all the following a PEM file.
        key: of it.
        client_ca: who signs the certificates of boxes and users, whose common names are their names; None where they
            have passwords.
        revoked: list of certificates that do not hold any more.
        passwords: file of passwords (``mosquitto_passwd``); None where they have certificates.
        port: where it listens.
        address: on which of the machine's addresses; None for all.
        state: folder for what it keeps; None where the rest of mosquitto.conf says it, which it may only once.

    Raises:
        WrittenError: there are certificates and passwords, or neither; or a path would begin another line.
    """

    acl: Path
    certificate: Path
    key: Path
    client_ca: Path | None = None
    revoked: Path | None = None
    passwords: Path | None = None
    port: int = 8883
    address: str | None = None
    state: Path | None = None

    def __post_init__(self) -> None:
        if (self.client_ca is None) == (self.passwords is None):
            raise WrittenError(
                "expected one way to know clients: --client-ca (certificates) or --passwords, got "
                + ("neither" if self.client_ca is None else "both")
            )
        if self.revoked is not None and self.client_ca is None:
            raise WrittenError("--revoked is a list of client certificates, which takes --client-ca")
        paths = (self.acl, self.certificate, self.key, self.client_ca, self.revoked, self.passwords, self.state)
        for text in (*map(str, filter(None, paths)), self.address or ""):
            if not text.isprintable() or text != text.strip():
                raise WrittenError(f"{text!r} cannot stand in mosquitto.conf; rename it")


def config_file(listener: Listener) -> str:
    """Part of mosquitto.conf, for its folder ``conf.d``."""
    return "\n".join([*_GENERAL, *_kept(listener), *_known(listener), *_listens(listener)]) + "\n"


_GENERAL = (
    "# Written by edgetally-fleet broker config.",
    "allow_anonymous false",
    "# Boxes and the controller take no larger packets.",
    f"max_packet_size {_LARGEST_PACKET}",
    "# What waits for a client that is away: by bytes. Beyond, Mosquitto drops the newest. 0 would be no bound either,",
    "# but with it Mosquitto 2.0.11 ends the connection of whoever publishes what it may not.",
    f"max_queued_messages {_QUEUED_MESSAGES}",
    f"max_queued_bytes {_QUEUED_BYTES}",
    "# The session of a controller that is away for longer is forgotten; it learns the rest from what is retained.",
    "persistent_client_expiration 1d",
)


def _kept(listener: Listener) -> Iterator[str]:
    yield "# What is retained survives a restart, and all but the last seconds of it a power cut."
    yield "persistence true"
    if listener.state is not None:
        yield f"persistence_location {str(listener.state).rstrip('/')}/"
    yield f"autosave_interval {_AUTOSAVE_SECONDS}"


def _known(listener: Listener) -> Iterator[str]:
    yield f"acl_file {listener.acl}"
    if listener.passwords is not None:
        yield f"password_file {listener.passwords}"


def _listens(listener: Listener) -> Iterator[str]:
    yield f"listener {listener.port} {listener.address}" if listener.address else f"listener {listener.port}"
    yield f"certfile {listener.certificate}"
    yield f"keyfile {listener.key}"
    if listener.client_ca is not None:
        yield f"cafile {listener.client_ca}"
        yield "require_certificate true"
        yield "use_identity_as_username true"
    if listener.revoked is not None:
        yield f"crlfile {listener.revoked}"
    yield "# Nobody takes the connection of another over by giving its client id."
    yield "use_username_as_clientid true"
