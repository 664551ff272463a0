"""``python -m tools.billing``: a bill from a dump of JSON lines, or from a live broker."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from contracts.config import BrokerConfig, TlsConfig, parse_address
from contracts.errors import WrittenError
from runtime.console import run_program
from tools.billing.bill import make_bill
from tools.billing.intake import Intake, read_lines
from tools.billing.intake import seconds as iso_seconds
from tools.billing.live import LiveIntake
from tools.billing.table import table

_PASSWORD = "EDGETALLY_BILLING_PASSWORD"  # noqa: S105 - the name of a variable; a password would show in process lists

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def bill(  # noqa: PLR0913, PLR0917 - a flag is a parameter
    dump: Annotated[Path | None, typer.Argument(help="JSON lines; - reads standard input.")] = None,
    broker: Annotated[str | None, typer.Option(help="HOST[:PORT]; listens until Ctrl-C or --seconds.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Listen for so long.")] = None,
    device: Annotated[str, typer.Option(help="Only this device.")] = "+",
    client_id: Annotated[str | None, typer.Option(help="The broker keeps what comes between two runs.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Append what comes to this file first.")] = None,
    username: Annotated[str | None, typer.Option(help=f"The password is taken from {_PASSWORD}.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file; switches TLS on.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Bill from here on, ISO 8601.")] = None,
    end: Annotated[str | None, typer.Option("--until", help="And until here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Add counts up to a bill; exits with 1 where something must not be as it is."""
    if (dump is None) == (broker is None):
        raise WrittenError("expected either a dump or --broker, got both or neither; give one")
    period = _moment("--from", start), _moment("--until", end)
    intake = (
        _from_dump(dump)
        if dump is not None
        else _from_broker(_broker(str(broker), username, ca), device, client_id, keep, seconds)
    )
    made = make_bill(intake, *period)
    print(json.dumps(made.document(), indent=2) if as_json else table(made))
    if made.problems:
        raise SystemExit(1)


def _from_dump(path: Path) -> Intake:
    intake = Intake()
    try:
        with nullcontext(sys.stdin) if str(path) == "-" else path.open(encoding="utf-8", errors="replace") as lines:
            read_lines(lines, intake)
    except OSError as error:
        raise WrittenError(f"{path}: expected a dump of JSON lines ({error.strerror}); check the path") from None
    return intake


def _from_broker(
    config: BrokerConfig, device: str, client_id: str | None, keep: Path | None, seconds: float | None
) -> Intake:
    with nullcontext() if keep is None else keep.open("a", encoding="utf-8") as file:
        live = LiveIntake(config, device, client_id, file)
        with live, suppress(KeyboardInterrupt):
            threading.Event().wait(seconds)
        return live.read()


def _broker(address: str, username: str | None, ca: Path | None) -> BrokerConfig:
    host, port = parse_address("--broker", address)
    password = os.environ.get(_PASSWORD)
    return BrokerConfig(
        host=host,
        port=port or (8883 if ca else 1883),
        username=username,
        password=SecretStr(password) if password else None,
        tls=TlsConfig(ca=str(ca)) if ca else None,
    )


def _moment(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return iso_seconds(text)
    except ValueError:
        raise WrittenError(f"{flag} should be ISO 8601 like 2026-01-31T00:00:00Z, got {text!r}") from None


if __name__ == "__main__":
    sys.exit(run_program(app))
