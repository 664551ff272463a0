"""edgetally-fleet: the command line of who runs many boxes.

Heavy packages are imported by the command that needs them, so that help and shell completion answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import WrittenError, did_you_mean
from contracts.version import VERSION
from fleet import inventory_options
from fleet.access.cli import token_app, user_app
from fleet.broker.cli import app as broker_app
from fleet.clock import wall_ms
from fleet.configuration import cli as configuration_cli
from fleet.console.cli import console
from fleet.database_cli import app as database_app
from fleet.enrolment.ca_cli import app as ca_app
from fleet.enrolment.cli import app as enrol_app
from fleet.inventory_options import DEFAULT_DATABASE, Broker, Database
from fleet.publishing import options
from fleet.publishing.keys_cli import app as keys_app
from fleet.publishing.options import DEFAULT_KEYS, Address, Expires, Json, Keys, Root, RootKeys
from fleet.publishing.repository_cli import app as repository_app
from fleet.rollout.cli import app as rollout_app
from runtime.console import LogLevel, log_to_stderr, run_program

app = typer.Typer(
    name="edgetally-fleet",
    help="For who runs many boxes: which there are, their configuration, releasing models, keys and signatures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(keys_app, name="keys")
app.add_typer(repository_app, name="repository")
app.add_typer(database_app, name="database")
app.add_typer(rollout_app, name="rollout")
app.add_typer(configuration_cli.app, name="config")
app.command()(configuration_cli.audit)
app.add_typer(user_app, name="user")
app.add_typer(token_app, name="token")
app.command()(console)
app.add_typer(broker_app, name="broker")
app.add_typer(enrol_app, name="enrol")
app.add_typer(ca_app, name="ca")

_MEGABYTE = 1_000_000
_DAY_MS = 86_400_000

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Version = Annotated[str, typer.Argument(help="Its version.")]


@app.callback(invoke_without_command=True)
def program(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False
) -> None:
    """For who runs many boxes: which there are, their configuration, releasing models, keys and signatures."""
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


@app.command()
def serve(
    broker: Broker,
    database: Database = DEFAULT_DATABASE,
    username: Annotated[str | None, typer.Option(help="At the broker.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File that holds the password.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of who signed the broker's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file of a client certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    client_id: Annotated[str, typer.Option(help="The broker keeps a session under it; one program at a time.")] = (
        "edgetally-fleet"
    ),
    most_devices: Annotated[int, typer.Option(min=1, help="Boxes that are taken in at most.")] = 100_000,
    keys: Annotated[
        Path | None, typer.Option(help="Folder of keys; what boxes should run is signed with an operator's key of it.")
    ] = None,
    operator_key: Annotated[str, typer.Option(help="Name of an operator's key; `operator`: the newest.")] = "operator",
    document_days: Annotated[
        int, typer.Option(min=1, max=3650, help="Days until boxes that were away do not take a document any more.")
    ] = 60,
    takeover: Annotated[
        float, typer.Option(min=1, help="Seconds until another controller goes on where this one is gone.")
    ] = 10.0,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged to stderr.")] = "info",
    *,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt; implied by --ca and --certificate.")] = False,
) -> None:
    """Take in what boxes tell of themselves, give them what they should run, and move rollouts on.

    It runs until SIGTERM or Ctrl-C. Several may run on one database, for where one dies.

    Example: `edgetally-fleet serve --broker broker.example:8883 --tls --database fleet.db --keys keys`
    """
    log_to_stderr(log_level)
    config = inventory_options.broker(broker, username, password_file, ca, certificate, key, tls=tls)
    opened = inventory_options.opened(database, make=True)
    sign = inventory_options.signing(keys, operator_key)
    from fleet.controller import ControllerSettings
    from fleet.serving import Served, serve

    served = Served(config, client_id, most_devices, sign, document_days * _DAY_MS)
    serve(opened, served, inventory_options.until_told(), ControllerSettings(lease=takeover))


@app.command(name="devices")
def list_devices(
    query: Annotated[str, typer.Argument(help="Which boxes: `site=taipei & target~jetson-*`. Default: all.")] = "",
    database: Database = DEFAULT_DATABASE,
    *,
    as_json: Json = False,
) -> None:
    """List boxes.

    Example: `edgetally-fleet devices 'online=no | warning~*' --database fleet.db`
    """
    store = inventory_options.store(database)
    from fleet.inventory.fields import select
    from fleet.inventory.show import device_document, print_devices

    stored = {each.device.device: each for each in store.all()}
    chosen = [stored[device.device] for device in select(query, [each.device for each in stored.values()])]
    if as_json:
        options.print_json([device_document(each) for each in chosen])
    else:
        print_devices(chosen, wall_ms())


@app.command(name="device")
def show_device(
    device: Annotated[str, typer.Argument(help="Its id.")],
    database: Database = DEFAULT_DATABASE,
    *,
    as_json: Json = False,
) -> None:
    """Show what a box should run, all that is known of it, and what changed of it, newest first.

    Example: `edgetally-fleet device box-1 --database fleet.db`
    """
    opened = inventory_options.opened(database)
    from fleet.inventory.show import change_document, device_document, device_lines
    from fleet.store.devices import DeviceStore
    from fleet.wanted import view

    store = DeviceStore(opened)
    stored = store.get(device)
    if stored is None:
        near = did_you_mean(device, (each.device.device for each in store.all()))
        raise WrittenError(f"no box {device!r} is known{near or '; `edgetally-fleet devices` lists them'}")
    changes, now_ms = store.changes(device), wall_ms()
    wanted = view.view(opened, stored.device, now_ms)
    if as_json:
        history = [change_document(each) for each in changes]
        options.print_json({**device_document(stored), **view.document(wanted), "changes": history})
        return
    for line in (*view.lines(wanted, now_ms), *device_lines(stored, changes, now_ms)):
        typer.echo(line)


def main() -> None:
    """Entry point: 0 when all went well, 2 with one sentence on stderr, 3 where something expires soon."""
    sys.exit(run_program(app))


if __name__ == "__main__":
    main()
