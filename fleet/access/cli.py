"""edgetally-fleet user and token: who may use the console and its API."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import WrittenError
from fleet import inventory_options
from fleet.clock import wall_ms
from fleet.inventory_options import DEFAULT_DATABASE, Database
from fleet.publishing.options import Json, print_json

if TYPE_CHECKING:
    from fleet.access.passwords import Passwords
    from fleet.store.database import Database as Opened

user_app = typer.Typer(help="People who may use the console.", no_args_is_help=True, rich_markup_mode="markdown")
token_app = typer.Typer(help="Programs that may use the HTTP API.", no_args_is_help=True, rich_markup_mode="markdown")

_DAY_MS = 86_400_000
_MOST_DAYS = 3_660

Name = Annotated[str, typer.Argument(help="The user.")]
RoleOption = Annotated[str, typer.Option(help="viewer looks, operator changes what boxes run, admin also users.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File that holds the password; - is standard input. Default: it is asked.")
]


@user_app.command(name="add")
def add_user(
    name: Name,
    role: RoleOption = "viewer",
    password_file: PasswordFile = None,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Add a user. The database is made where it is not there yet.

    Example: `edgetally-fleet user add ada --role admin --database fleet.db`
    """
    opened, passwords = _database(database, make=True), _passwords()
    from fleet.access.roles import role_of, user_name
    from fleet.store.users import UserStore

    wanted = role_of(role)
    hashed = passwords.hash(_new_password(password_file, user_name(name)))
    UserStore(opened).add(name, wanted, hashed, inventory_options.who(None), wall_ms())
    typer.echo(f"{name} is a user, as {wanted}")


@user_app.command(name="list")
def list_users(database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """List users.

    Example: `edgetally-fleet user list --database fleet.db`
    """
    opened = _database(database)
    from fleet.inventory.show import utc
    from fleet.store.users import UserStore

    rows = [{**user.document(), "created": utc(user.created_ms)} for user in UserStore(opened).all()]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            typer.echo(f"{row['name']}  {row['role']}{'  disabled' if row['disabled'] else ''}")


@user_app.command(name="disable")
def disable_user(
    name: Name,
    database: Database = DEFAULT_DATABASE,
    *,
    enable: Annotated[bool, typer.Option("--enable", help="Let them in again instead.")] = False,
) -> None:
    """Let a user in no more: every session ends at once, and tokens are refused.

    Example: `edgetally-fleet user disable ada --database fleet.db`
    """
    opened = _database(database)
    from fleet.store.users import UserStore

    UserStore(opened).change(name, inventory_options.who(None), wall_ms(), disabled=not enable)
    typer.echo(f"{name} is {'enabled' if enable else 'disabled'}")


@user_app.command(name="role")
def change_role(
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, operator or admin.")],
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Give a user another role; it holds from the next request on.

    Example: `edgetally-fleet user role ada operator --database fleet.db`
    """
    opened = _database(database)
    from fleet.access.roles import role_of
    from fleet.store.users import UserStore

    user = UserStore(opened).change(name, inventory_options.who(None), wall_ms(), role=role_of(role))
    typer.echo(f"{name} is {user.role}")


@user_app.command(name="password")
def change_password(name: Name, password_file: PasswordFile = None, database: Database = DEFAULT_DATABASE) -> None:
    """Give a user another password; every session of theirs ends.

    Example: `edgetally-fleet user password ada --database fleet.db`
    """
    opened, passwords = _database(database), _passwords()
    from fleet.store.users import UserStore

    hashed = passwords.hash(_new_password(password_file, name))
    UserStore(opened).set_password(name, hashed, inventory_options.who(None), wall_ms())
    typer.echo(f"{name} has another password")


@user_app.command(name="remove")
def remove_user(name: Name, database: Database = DEFAULT_DATABASE) -> None:
    """Remove a user with all sessions and tokens; what they did stays in the audit log.

    Example: `edgetally-fleet user remove ada --database fleet.db`
    """
    opened = _database(database)
    from fleet.store.users import UserStore

    UserStore(opened).remove(name, inventory_options.who(None), wall_ms())
    typer.echo(f"{name} is no user any more")


@token_app.command(name="add")
def add_token(
    name: Name,
    title: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="read, config, rollout or admin; may be repeated.")],
    days: Annotated[int, typer.Option(min=1, max=_MOST_DAYS, help="It is refused after so many.")] = 90,
    database: Database = DEFAULT_DATABASE,
    *,
    as_json: Json = False,
) -> None:
    """Make a token that acts for a user, and print it: it is shown this once, and stored nowhere.

    It may do what its scopes say and its user may.

    Example: `edgetally-fleet token add ada --title prometheus --scope read --database fleet.db`
    """
    opened = _database(database)
    from fleet.access.roles import scopes_of
    from fleet.store.tokens import TokenStore

    now = wall_ms()
    token, text = TokenStore(opened).add(
        name, title, scopes_of(scope), inventory_options.who(None), now, now + days * _DAY_MS
    )
    if as_json:
        print_json({"id": token.id, "token": text, "scopes": list(token.scopes), "expires": _day(token.expires_ms)})
    else:
        sys.stdout.write(f"{text}\n")
        typer.echo(f"token {token.id} is refused from {_day(token.expires_ms)} on", err=True)


@token_app.command(name="list")
def list_tokens(database: Database = DEFAULT_DATABASE, *, as_json: Json = False) -> None:
    """List tokens; never the tokens themselves.

    Example: `edgetally-fleet token list --database fleet.db`
    """
    opened = _database(database)
    from fleet.store.tokens import TokenStore

    for_people = [
        {
            "id": token.id,
            "user": token.name,
            "title": token.title,
            "scopes": list(token.scopes),
            "expires": _day(token.expires_ms),
            "used": None if token.used_ms is None else _day(token.used_ms),
        }
        for token in TokenStore(opened).all()
    ]
    if as_json:
        print_json(for_people)
        return
    for row in for_people:
        scopes = ",".join(map(str, row["scopes"] or []))
        used = "never used" if row["used"] is None else f"used {row['used']}"
        typer.echo(f"{row['id']}  {row['user']}  {scopes}  until {row['expires']}  {used}  {row['title']}")


@token_app.command(name="revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="Its id, as `token list` shows it.")],
    database: Database = DEFAULT_DATABASE,
) -> None:
    """End a token for good.

    Example: `edgetally-fleet token revoke 0a1b2c3d4e5f6071 --database fleet.db`
    """
    opened = _database(database)
    from fleet.store.tokens import TokenStore

    revoked = TokenStore(opened).revoke(token, inventory_options.who(None), wall_ms())
    typer.echo(f"token {revoked.id} ({revoked.title}) is revoked")


def _database(address: str, *, make: bool = False) -> Opened:
    inventory_options.check_extra()
    from fleet.store.database import Database

    return Database(address, make=make)


def _passwords() -> Passwords:
    from contracts.errors import RuntimeMissingError

    try:
        from fleet.access.passwords import Passwords
    except ModuleNotFoundError as error:
        raise RuntimeMissingError("passwords", error.name or "argon2", "console") from error
    return Passwords()


def _new_password(file: Path | None, name: str) -> str:
    """The password, from its file or typed twice."""
    from fleet.access.passwords import new_password

    if file is not None:
        return new_password(_of_file(file))
    if not sys.stdin.isatty():
        raise WrittenError(
            "no terminal is there to ask for the password at; name a file that holds it: --password-file"
        )
    typed = new_password(getpass.getpass(f"Password for {name}: "))
    if getpass.getpass("The same again: ") != typed:
        raise WrittenError("the second one differs from the first; try again")
    return typed


def _of_file(file: Path) -> str:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise WrittenError(f"--password-file {file} cannot be read: {said}") from error
    return text.rstrip("\r\n")


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).date().isoformat()
