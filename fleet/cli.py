"""edgetally-fleet: the command line of who runs many boxes.

Heavy packages are imported by the command that needs them, so that help and shell completion answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.version import VERSION
from fleet.publishing import options
from fleet.publishing.keys_cli import app as keys_app
from fleet.publishing.options import DEFAULT_KEYS, Address, Expires, Json, Keys, Root, RootKeys
from fleet.publishing.repository_cli import app as repository_app
from runtime.console import run_program

app = typer.Typer(
    name="edgetally-fleet",
    help="Releases models to boxes: keys, the repository that boxes fetch from, and signed documents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(keys_app, name="keys")
app.add_typer(repository_app, name="repository")

_MEGABYTE = 1_000_000

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Version = Annotated[str, typer.Argument(help="Its version.")]


@app.callback(invoke_without_command=True)
def program(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False
) -> None:
    """Releases models to boxes: keys, the repository that boxes fetch from, and signed documents."""
    if version:
        sys.stdout.write(f"edgetally-fleet {VERSION}\n")
        raise typer.Exit


@app.command()
def publish(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `edgetally-convert build` made.")],
    repository: Address,
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    root: Root = None,
    expires: Expires = None,
    *,
    as_json: Json = False,
) -> None:
    """Verify a bundle and release it.

    It takes the release key and the online key; a model's first release also the targets key, which then says who may
    release that model. Files that the repository has are not copied again. Boxes see it whole or not at all; cut short,
    the same command goes on.

    Example: `edgetally-fleet publish yolox.bundle --repository /srv/models --keys keys`
    """
    opened = options.repository(repository, keys, root, root_keys, expires)
    from fleet.publishing.publish import publish as publish_bundle
    from fleet.publishing.show import progress_bar, release_row

    with progress_bar(quiet=as_json) as progress:
        done = publish_bundle(opened, bundle, progress)
    info = done.release.info
    if as_json:
        options.print_json(
            {**release_row(done.release), "new": done.new, "copied_files": done.files, "copied_bytes": done.size}
        )
    elif done.new:
        typer.echo(
            f"{info.model} {info.version} is released (release {info.release}, manifest {done.release.digest}); "
            f"{done.files} files, {done.size / _MEGABYTE:.1f} MB copied"
        )
    else:
        done_now = f"{done.files} files that were missing were copied" if done.files else "nothing was to be done"
        typer.echo(f"{info.model} {info.version} was released before; {done_now}")


@app.command()
def withdraw(
    model: Model,
    version: Version,
    repository: Address,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks for it later; up to 500 characters.")],
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    root: Root = None,
    expires: Expires = None,
    *,
    as_json: Json = False,
) -> None:
    """Have no box take a release any more. Boxes that run it go on: give them another one.

    Example: `edgetally-fleet withdraw yolox-nano 1.2.0 --reason "counts vans twice" --repository /srv/models`
    """
    opened = options.repository(repository, keys, root, root_keys, expires)
    from fleet.publishing.publish import withdraw as withdraw_release
    from fleet.publishing.show import release_row

    release = withdraw_release(opened, model, version, reason)
    if as_json:
        options.print_json(release_row(release))
    else:
        typer.echo(f"{model} {version} is withdrawn: no box takes it any more")


@app.command()
def export(
    model: Model,
    version: Version,
    repository: Address,
    to: Annotated[Path, typer.Option(help="Folder, of a memory stick say.")],
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="Only what these targets need; may be repeated.")
    ] = None,
    keys: Keys = DEFAULT_KEYS,
    root: Root = None,
    *,
    as_json: Json = False,
) -> None:
    """Copy one release, with the metadata that prove it, for boxes without a network.

    It takes no key. The stick is good until the repository's timestamp expires.

    Example: `edgetally-fleet export yolox-nano 1.2.0 --to /media/stick -t jetson-orin-jp6 --repository /srv/models`
    """
    opened = options.repository(repository, keys, root)
    from fleet.publishing.export import export as export_release
    from fleet.publishing.show import progress_bar, release_row

    with progress_bar(quiet=as_json) as progress:
        release, size = export_release(opened, (model, version), target or (), to, progress)
    if as_json:
        options.print_json({**release_row(release), "to": str(to), "bytes": size})
    else:
        typer.echo(f"{model} {version}: {size / _MEGABYTE:.1f} MB in {to}")


@app.command()
def sign(
    document: Annotated[Path, typer.Argument(help="A desired document, JSON.")],
    key: Annotated[str, typer.Option(help="Name of an operator's key; `operator`: the newest.")] = "operator",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where it goes. Default: standard output.")] = None,
    keys: Keys = DEFAULT_KEYS,
) -> None:
    """Sign a desired document, for boxes that take signed ones only.

    Example: `edgetally-fleet sign desired.json --key operator | mosquitto_pub -s -r -t edgetally/v1/box-1/desired`
    """
    keyring = options.keyring(keys, None)
    from contracts.errors import StorageError
    from fleet.publishing.sign import sign_desired

    text = sign_desired(document, keyring, key)
    if out is None:
        sys.stdout.write(text + "\n")
        return
    try:
        out.write_text(text + "\n")
    except OSError as error:
        raise StorageError(str(out), error) from error


def main() -> None:
    """Entry point: 0 when all went well, 2 with one sentence on stderr, 3 where something expires soon."""
    sys.exit(run_program(app))


if __name__ == "__main__":
    main()
