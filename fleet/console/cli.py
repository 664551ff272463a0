"""edgetally-fleet console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import RuntimeMissingError
from fleet import inventory_options
from fleet.inventory_options import DEFAULT_DATABASE, Database
from fleet.publishing.options import DEFAULT_KEYS, KEYS_VARIABLE, REPOSITORY_VARIABLE, Root, check_extra
from runtime.console import LogLevel, log_to_stderr

if TYPE_CHECKING:
    from fleet.console.releases import Releases
    from fleet.enrolment.enrol import Enrolment
    from fleet.store.database import Database as Opened


def console(
    listen: Annotated[str, typer.Option(help="Where it is served.", metavar="HOST:PORT")] = "127.0.0.1:8090",
    host: Annotated[
        list[str] | None, typer.Option(help="A name that browsers reach it under; may be repeated.", metavar="NAME")
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="Address of a reverse proxy with TLS before it; may be repeated.", metavar="ADDRESS"),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file; it then speaks HTTPS itself.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    database: Database = DEFAULT_DATABASE,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository", "-r", help="Of the releases that may be rolled out from it.", envvar=REPOSITORY_VARIABLE
        ),
    ] = None,
    keys: Annotated[
        Path,
        typer.Option(
            "--keys",
            "-k",
            help="Folder with the root.json of the repository; the console wants no private key.",
            envvar=KEYS_VARIABLE,
        ),
    ] = DEFAULT_KEYS,
    root: Root = None,
    enrolment: Annotated[
        Path | None, typer.Option(help="enrolment.toml: boxes with a token are let in, as docs/provisioning.md says.")
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged to stderr.")] = "info",
    *,
    metrics_open: Annotated[
        bool, typer.Option("--metrics-open", help="/metrics wants no token; on loopback only.")
    ] = False,
) -> None:
    """Serve the console: pages for people, an HTTP API for programs, metrics; until SIGTERM or Ctrl-C.

    Several may run on one database.

    With a repository rollouts can be made in it, too; without one they are made from the command line.

    Example: `edgetally-fleet console --listen 127.0.0.1:8090 --database fleet.db --repository /srv/models`
    """
    log_to_stderr(log_level)
    inventory_options.check_extra()
    try:
        from fleet.console.server import listening, serve
    except ModuleNotFoundError as error:
        raise RuntimeMissingError("the console", error.name or "fastapi", "console") from error
    from fleet.store.database import Database

    where = listening(listen, certificate, key, proxy or (), metrics_open=metrics_open)
    releases = None if repository is None else _releases(repository, keys, root)
    opened = Database(database)
    admits = None if enrolment is None else _enrolment(opened, enrolment)
    serve(opened, where, host or (), releases, admits, metrics_open=metrics_open)


def _enrolment(database: Opened, path: Path) -> Enrolment:
    check_extra()
    from fleet.enrolment.enrol import Enrolment
    from fleet.enrolment.terms import read_terms
    from fleet.publishing.passphrases import passphrases

    return Enrolment(database, *read_terms(path, passphrases()))


def _releases(address: str, keys: Path, root: Path | None) -> Releases:
    check_extra()
    from fleet.console.releases import RepositoryReleases
    from fleet.publishing.files import open_files
    from fleet.publishing.init import ROOT_NAME, read_root
    from fleet.publishing.seen import Seen

    trusted = read_root(root or keys / ROOT_NAME)
    return RepositoryReleases(open_files(address), trusted, Seen(keys, trusted))
