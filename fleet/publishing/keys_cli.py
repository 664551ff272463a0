"""edgetally-fleet keys: making, listing, replacing and revoking keys."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.publishing import options
from fleet.publishing.options import DEFAULT_KEYS, Address, Expires, Json, Keys, Root, RootKeys

if TYPE_CHECKING:
    from fleet.publishing.change import Repository
    from fleet.publishing.keys import KeyInfo, Keyring

app = typer.Typer(help="Make, list, replace and revoke the keys that sign.", no_args_is_help=True)

OPERATOR_KEYS = "operator-keys.json"

Unencrypted = Annotated[bool, typer.Option("--unencrypted", help="Write private keys that no passphrase protects.")]
Name = Annotated[str, typer.Argument(help="root, targets, release, online or operator; or a key's name or key id.")]


@app.command()
def create(
    folder: Annotated[Path, typer.Option("--dir", "--keys", "-k", help="Where they go.", envvar=options.KEYS_VARIABLE)],
    root_keys: Annotated[
        Path | None, typer.Option(help="Where the root keys go, a memory stick say. Default: `root` in that folder.")
    ] = None,
    root_count: Annotated[
        int, typer.Option(min=1, max=16, help="How many root keys; of 3 each may be lost, and no single one is enough.")
    ] = 1,
    *,
    unencrypted: Unencrypted = False,
    as_json: Json = False,
) -> None:
    """Make the keys of a repository: root, targets, release, online and operator.

    The passphrase is asked for, or read from the file that EDGETALLY_KEY_PASSPHRASE_FILE names. Then move the root keys
    to where no network reaches: they are needed again once in two years, or when a key has to be replaced.

    Example: `edgetally-fleet keys create --dir keys --root-count 3`

    Example: `EDGETALLY_KEY_PASSPHRASE_FILE=pass.txt edgetally-fleet keys create --dir keys --root-keys /media/stick`
    """
    offline = root_keys or folder / "root"
    keyring = options.keyring(folder, [offline])
    from fleet.publishing.errors import KeyFileError
    from fleet.publishing.keys import make_key
    from fleet.publishing.roles import KEY_ROLES

    if there := keyring.all():
        raise KeyFileError(
            str(folder),
            f"there are keys already ({there[0].name})",
            "choose another folder, or replace one with `keys rotate`",
        )
    passphrase = None if unencrypted else keyring.passphrases.new()
    now = options.now()
    made = [make_key(offline, "root", f"root-{number + 1}", now, passphrase) for number in range(root_count)]
    made += [make_key(folder, role, f"{role}-1", now, passphrase) for role in KEY_ROLES if role != "root"]
    _write_operator_keys(folder, keyring)
    _print(made, keyring, as_json=as_json)
    if not as_json:
        typer.echo(f"Move {offline} to where no network reaches; then: edgetally-fleet repository init")


@app.command("list")
def list_(
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    repository: Annotated[
        str | None, typer.Option("--repository", "-r", help="Say which it uses.", envvar=options.REPOSITORY_VARIABLE)
    ] = None,
    root: Root = None,
    *,
    as_json: Json = False,
) -> None:
    """List the keys of a folder, and which of them a repository uses.

    Example: `edgetally-fleet keys list --keys keys --repository /srv/models`
    """
    keyring = options.keyring(keys, root_keys)
    used: set[str] | None = None
    if repository is not None:
        from fleet.publishing.roles import KEY_ROLES
        from fleet.publishing.rotate import keys_in_use
        from fleet.publishing.state import load_state

        opened = options.repository(repository, keys, root, root_keys)
        state = load_state(opened.files, opened.trusted)
        used = {keyid for role in KEY_ROLES for keyid in keys_in_use(state, role)}
    _print(keyring.all(), keyring, as_json=as_json, used=used)


@app.command()
def rotate(
    name: Name,
    repository: Address,
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    root: Root = None,
    expires: Expires = None,
    *,
    unencrypted: Unencrypted = False,
    as_json: Json = False,
) -> None:
    """Replace a key by a new one, as a habit.

    Boxes notice nothing. For root, targets and online this takes the root keys (`--root-keys`), for release and
    operator the targets key.

    Example: `edgetally-fleet keys rotate online --repository /srv/models --root-keys /media/stick`
    """
    opened = options.repository(repository, keys, root, root_keys, expires)
    _replace(name, opened, _How(unencrypted=unencrypted, revoke=False, as_json=as_json))


@app.command()
def revoke(
    name: Name,
    repository: Address,
    keys: Keys = DEFAULT_KEYS,
    root_keys: RootKeys = None,
    root: Root = None,
    expires: Expires = None,
    *,
    unencrypted: Unencrypted = False,
    as_json: Json = False,
) -> None:
    """Replace a key that somebody else may have; it is never used again.

    It takes the same keys as `keys rotate`; the private half of the revoked one may be lost. For a release key look at
    `repository list` first: what it signed is signed again by the new one.

    Example: `edgetally-fleet keys revoke online --repository s3://models --root-keys /media/stick`
    """
    opened = options.repository(repository, keys, root, root_keys, expires)
    _replace(name, opened, _How(unencrypted=unencrypted, revoke=True, as_json=as_json))


@dataclass(frozen=True)
class _How:
    """How a key is replaced."""

    unencrypted: bool
    revoke: bool
    as_json: bool


def _replace(name: str, repository: Repository, how: _How) -> None:
    from fleet.publishing.rotate import Replacement, check_can_replace, key_to_replace, pending_key, replace_key

    keyring, state = repository.keyring, repository.state()
    role, old = key_to_replace(repository, state, name)
    check_can_replace(repository, state, role)
    keys = keyring.folders[0]
    folder = keyring.folders[1] if role == "root" and len(keyring.folders) > 1 else keys
    new = pending_key(repository, state, role) or keyring.make(
        role, folder, repository.validity.now, unencrypted=how.unencrypted
    )
    replace_key(repository, state, Replacement(role, old, new))
    if how.revoke:
        keyring.mark_revoked(old)
    if role == "operator":
        _write_operator_keys(keys, keyring, without=old)
    if how.as_json:
        options.print_json({"role": role, "old": old, "new": new.keyid, "name": new.name})
    else:
        typer.echo(f"{role}: {keyring.name_of(new.keyid)} in place of {keyring.name_of(old)}")
        if role == "operator":
            typer.echo(f"{keys / OPERATOR_KEYS} is what boxes need beside agent.toml from now on")


def _write_operator_keys(folder: Path, keyring: Keyring, without: str = "") -> None:
    from fleet.publishing.sign import operator_keys

    found = {keyid: key.model_dump() for keyid, key in operator_keys(keyring).items() if keyid != without}
    (folder / OPERATOR_KEYS).write_text(json.dumps(found, indent=2) + "\n")


def _print(keys: list[KeyInfo], keyring: Keyring, *, as_json: bool, used: set[str] | None = None) -> None:
    from fleet.publishing.show import key_row, print_keys

    rows = [key_row(info, keyring, used) for info in keys]
    if as_json:
        options.print_json(rows)
    else:
        print_keys(rows)
