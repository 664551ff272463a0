"""Serving the console."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from contracts.errors import DeviceError, PortInUseError, WrittenError
from fleet import inventory_options
from fleet.console.app import FIRST_USER, application
from fleet.console.console import Console
from fleet.console.releases import Releases
from fleet.console.settings import ConsoleSettings
from fleet.enrolment.enrol import Enrolment
from fleet.store.database import Database

_log = logging.getLogger(__name__)

_BACKLOG = 128
_MOST_CONNECTIONS = 256
_KEEP_ALIVE = 10  # seconds
_LARGEST_HEAD = 16_384  # bytes
_END_SECONDS = 5
_LARGEST_PORT = 65_535


@dataclass(frozen=True)
class Listening:
    """Where it listens.

    Args:
        host: an address or name.
        port: of it.
        certificate: PEM file; None: no TLS of its own.
        key: PEM file.
        proxies: addresses of reverse proxies, whose word is taken for who asks.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    proxies: Sequence[str] = ()

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def listening(
    address: str, certificate: Path | None, key: Path | None, proxies: Sequence[str], *, metrics_open: bool
) -> Listening:
    """Where to listen, where that is safe.

    Raises:
        WrittenError: the address is none, or passwords would go over a network in the clear.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= _LARGEST_PORT):  # noqa: PLR2004
        raise WrittenError(f"--listen {address!r} should be HOST:PORT, 127.0.0.1:8090 say")
    if (certificate is None) != (key is None):
        raise WrittenError("--certificate and --key go together")
    if wrong := [proxy for proxy in proxies if not _is_network(proxy)]:
        raise WrittenError(f"--proxy {wrong[0]!r} should be an address or network, 127.0.0.1 say")
    where = Listening(host.strip("[]"), int(port), certificate, key, tuple(proxies))
    if not where.loopback and certificate is None and not proxies:
        raise WrittenError(
            f"on {address} passwords would go over the network in the clear; give --certificate and --key, "
            "or listen on 127.0.0.1 behind a reverse proxy with TLS (--proxy)"
        )
    if metrics_open and (proxies or not where.loopback):
        raise WrittenError("--metrics-open is for loopback without --proxy; give Prometheus a token with scope 'read'")
    return where


def serve(
    database: Database,
    where: Listening,
    hosts: Sequence[str],
    releases: Releases | None = None,
    enrolment: Enrolment | None = None,
    *,
    metrics_open: bool,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        PortInUseError: something else listens there.
        DeviceError: the address is not of this machine, or the certificate cannot be read.
    """
    names = frozenset(host.lower() for host in hosts)
    https = where.certificate is not None or bool(where.proxies)
    settings = ConsoleSettings(names, https=https, metrics_open=metrics_open)
    console = Console(database, settings, releases=releases, enrolment=enrolment)
    config = uvicorn.Config(
        application(console),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(where.proxies),
        forwarded_allow_ips=list(where.proxies),
        ws="none",
        http="h11",
        lifespan="off",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_END_SECONDS,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        ssl_certfile=where.certificate,
        ssl_keyfile=where.key,
    )
    _load(config, where)
    with _listen(where) as listener:
        if not console.has_users():
            _log.warning("%s --database %s", FIRST_USER, database.where)
        scheme = "https" if where.certificate else "http"
        _log.info("the console is at %s://%s:%d", scheme, where.host, listener.getsockname()[1])
        inventory_options.until_told()  # uvicorn raises the signal again once it has ended; that is no error
        uvicorn.Server(config).run(sockets=[listener])


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _load(config: uvicorn.Config, where: Listening) -> None:
    try:
        config.load()
    except OSError as error:  # ssl's own errors are among them
        problem = f"the certificate {where.certificate} and key {where.key} cannot be used: {error}"
        raise DeviceError(f"{problem}; check --certificate and --key") from error


def _listen(where: Listening) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICSERV
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        named = f"{where.host}:{where.port}"
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(named, "choose another --listen") from error
        raise DeviceError(f"cannot listen on {named}: {error.strerror or error}; choose another --listen") from error
    return listener
