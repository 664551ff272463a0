"""edgetally-fleet repository: making, checking, refreshing, listing and cleaning up a repository."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from fleet.publishing import options
from fleet.publishing.options import DEFAULT_KEYS, AddressArgument, Expires, Json, Keys, Root, RootKeys

app = typer.Typer(help="Make, check and look after the repository that boxes fetch from.", no_args_is_help=True)

_MEGABYTE = 1_000_000


@app.command()
def init(
    url: AddressArgument,
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    root_threshold: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="How many root keys sign a new root. Default: more than half of them."),
    ] = None,
    expires: Expires = None,
    *,
    as_json: Json = False,
) -> None:
    """Make an empty repository, and root.json beside the keys: what boxes and other operators are to trust.

    Example: `edgetally-fleet repository init /srv/models --keys keys --root-keys /media/stick`
    """
    keyring = options.keyring(keys, root_keys)
    from fleet.publishing.files import open_files
    from fleet.publishing.init import init_repository, keep_root

    files = open_files(url)
    data = init_repository(files, keyring, options.validity(expires), root_threshold)
    path = keep_root(keys, data)
    if as_json:
        options.print_json({"repository": files.where, "root": str(path)})
    else:
        typer.echo(f"{files.where} is ready; give boxes {path}, and say `[update] server` in their agent.toml")


@app.command()
def check(url: AddressArgument, keys: Keys = DEFAULT_KEYS, root: Root = None, *, as_json: Json = False) -> None:
    """Check every signature and every file's digest, and tell what expires soon and what nobody needs.

    Exit code 2 where something is wrong, 3 where all is well and something expires soon.

    Example: `edgetally-fleet repository check /srv/models --root keys/root.json`
    """
    repository = options.repository(url, keys, root)
    from fleet.publishing.check import check as check_all
    from fleet.publishing.errors import ExpiresSoonError, RepositoryError
    from fleet.publishing.show import finding_document, finding_lines, progress_bar

    with progress_bar(quiet=as_json) as progress:
        finding = check_all(repository, progress)
    if as_json:
        options.print_json(finding_document(finding))
    else:
        typer.echo("\n".join(finding_lines(finding)))
    if finding.problems:
        raise RepositoryError(repository.files.where, f"{len(finding.problems)} problems", "they stand above")
    if finding.alarms:
        raise ExpiresSoonError(finding.alarms[0])


@app.command()
def refresh(
    url: AddressArgument,
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    root: Root = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="Also root, targets, a model, or `model` for all of them; may be repeated."),
    ] = None,
    expires: Expires = None,
    *,
    as_json: Json = False,
) -> None:
    """Sign timestamp and snapshot anew; to be run by a timer, once a day.

    It takes the online key alone. Exit code 3 where another signature expires soon: nobody but a person can sign those.

    Example: `edgetally-fleet repository refresh /srv/models --keys keys`

    Example: `edgetally-fleet repository refresh /srv/models --role root --root-keys /media/stick`
    """
    repository = options.repository(url, keys, root, root_keys, expires)
    from fleet.publishing.errors import ExpiresSoonError
    from fleet.publishing.refresh import alarms, expiries
    from fleet.publishing.refresh import refresh as refresh_all
    from fleet.publishing.show import expiry_rows, print_expiries

    state = refresh_all(repository, role or ())
    if as_json:
        options.print_json(expiry_rows(expiries(state)))
    else:
        print_expiries(expiries(state))
    if found := alarms(state, repository.validity.now):
        raise ExpiresSoonError("; ".join(found))


@app.command("list")
def list_(
    url: AddressArgument,
    keys: Keys = DEFAULT_KEYS,
    root: Root = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the releases.

    Example: `edgetally-fleet repository list /srv/models --json`
    """
    repository = options.repository(url, keys, root)
    from contracts.errors import UnknownNameError
    from fleet.publishing.show import print_releases, release_row
    from fleet.publishing.state import load_state

    releases = list(load_state(repository.files, repository.trusted).releases())
    models = {release.info.model for release in releases}
    if model is not None and model not in models:
        raise UnknownNameError("model", model, models)
    found = [release for release in releases if model in {None, release.info.model}]
    if as_json:
        options.print_json([release_row(release) for release in found])
    else:
        print_releases(found)


@app.command()
def collect(
    url: AddressArgument,
    keys: Keys = DEFAULT_KEYS,
    root: Root = None,
    older_than_hours: Annotated[float, typer.Option(min=0, help="Leave what was written since.")] = 24.0,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove files that no release needs, and metadata that were replaced.

    Not to be run while somebody publishes: files of theirs that are older than the limit might go.

    Example: `edgetally-fleet repository collect /srv/models --dry-run`
    """
    repository = options.repository(url, keys, root)
    from fleet.publishing.collect import collect as collect_all

    removed = collect_all(repository, timedelta(hours=older_than_hours), dry_run=dry_run)
    if as_json:
        options.print_json({"removed": removed, "dry_run": dry_run})
    else:
        verb = "would be removed" if dry_run else "removed"
        typer.echo(f"{len(removed)} files, {sum(removed.values()) / _MEGABYTE:.1f} MB {verb}")
