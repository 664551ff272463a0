"""enrolment.toml: what boxes are given when they are let in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from pydantic import Field, field_validator

from contracts.config import parse_address
from contracts.desired import OperatorKey, OperatorKeys
from contracts.documents import WrittenModel, read_document
from contracts.enrolment import BrokerAddress
from contracts.errors import DocumentError, WrittenError
from contracts.update_config import Server
from fleet.enrolment.authority import Authority
from fleet.enrolment.authority_files import read_authority
from fleet.publishing.init import read_root
from fleet.publishing.passphrases import Passphrases
from runtime.documents import load_json, read_toml

_PORT = 8883
SYSTEM = "system"
"""In the place of a file of certificates: those that the box's system trusts."""


class EnrolmentConfig(WrittenModel):
    """The file; paths in it are relative to its folder."""

    ca: str = Field("ca", description="folder that `edgetally-fleet ca init` made")
    broker: str = Field(description="HOST[:PORT] as boxes reach it, by TLS")
    broker_ca: str | None = Field(
        None, description="PEM file of who signed the broker's certificate, or `system`; none: the authority in `ca`"
    )
    server_ca: str | None = Field(
        None, description="PEM file of who signed this server's certificate; none: the authority in `ca`"
    )
    update_server: tuple[Server, ...] = Field((), max_length=8, description="repositories of models; see publishing")
    root: str | None = Field(None, description="the repository's root.json, which boxes trust first")
    operator_keys: str | None = Field(None, description="operator-keys.json: who may sign `desired` documents")
    certificate_days: int = Field(730, ge=1, le=7300, description="that a box's certificate holds")
    reserved: tuple[str, ...] = Field(
        ("fleet", "hass", "billing"), description="names at the broker that no box may have, as they have other rights"
    )

    @field_validator("broker")
    @classmethod
    def _has_an_address(cls, broker: str) -> str:
        try:
            parse_address("'broker'", broker)
        except WrittenError as error:
            raise ValueError(str(error)) from None
        return broker


@dataclass(frozen=True)
class Terms:
    """What every box is given.

    Args:
        broker: that it is to talk to.
        server_ca: PEM of who signed the certificate of the server that lets it in.
        update_server: repositories of models.
        root: of TUF; None where boxes take unsigned bundles.
        operator_keys: who may sign `desired` documents; None where anybody may.
        certificate_days: that its certificate holds.
        reserved: names that no box may have.
    """

    broker: BrokerAddress
    server_ca: str
    update_server: tuple[str, ...] = ()
    root: str | None = None
    operator_keys: dict[str, OperatorKey] | None = None
    certificate_days: int = 730
    reserved: frozenset[str] = frozenset()


def read_terms(path: Path, passphrases: Passphrases) -> tuple[Authority, Terms]:
    """The authority and what boxes are given.

    Args:
        path: of enrolment.toml.
        passphrases: that open the authority's key.

    Raises:
        DocumentError: the file, or one that it names, does not fit.
        KeyFileError: the authority cannot be used.
        RepositoryError: the root is none.
    """
    config = read_toml(EnrolmentConfig, path)
    folder = path.parent
    authority = read_authority(folder / config.ca, passphrases)
    host, port = parse_address("'broker'", config.broker)
    broker_ca = None if config.broker_ca == SYSTEM else _certificates(folder, config.broker_ca, authority)
    keys = None if config.operator_keys is None else folder / config.operator_keys
    return authority, Terms(
        BrokerAddress(host=host.strip("[]"), port=port or _PORT, ca=broker_ca),
        _certificates(folder, config.server_ca, authority),
        config.update_server,
        None if config.root is None else read_root(folder / config.root).decode(),
        None if keys is None else read_document(OperatorKeys, {"keys": load_json(keys)}, str(keys)).keys,
        config.certificate_days,
        frozenset(config.reserved),
    )


def _certificates(folder: Path, name: str | None, authority: Authority) -> str:
    if name is None:
        return authority.pem
    path = folder / name
    try:
        text = path.read_text()
        x509.load_pem_x509_certificates(text.encode())
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "no certificates as PEM"
        raise DocumentError(str(path), [f"cannot be used: {said}; name a PEM file of certificates"]) from error
    return text
