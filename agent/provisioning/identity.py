"""What provisioning left on the box, below ``STATE_DIR/identity``, and the layer of the configuration that it makes.

The record is written last: a box that has one is provisioned, whole. The certificate and its key are one file, so that
a renewal replaces both at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import AwareDatetime, Field

from agent.disk import Disk
from agent.records import RecordDamagedError, Records
from contracts.documents import Id, MachineModel, Sha256

FOLDER = "identity"
"""Below the state directory."""

RECORD = "provisioned"
_FILE = r"^[a-z0-9-]{1,64}\.pem$"


class Provisioned(MachineModel):
    """Who this box is, and what it was given.

    Attributes:
        format: of this record.
        device: its name.
        server: that let it in.
        token: id of the token that let it in.
        ca: SHA-256 of who signed the server's certificate; None for the system's certificates.
        identity: file with its certificate and key.
        broker_host: of the broker.
        broker_port: of it.
        broker_ca: file with who signed the broker's certificate; None for the system's certificates.
        update_server: repositories of models.
        labels: of the token that let it in.
        expires: when the certificate ends.
    """

    format: int = 1
    device: Id
    server: str
    token: str | None = None
    ca: Sha256 | None = None
    identity: str = Field(pattern=_FILE)
    broker_host: str
    broker_port: int
    broker_ca: str | None = Field(None, pattern=_FILE)
    update_server: tuple[str, ...] = ()
    labels: dict[Id, str] = Field(default_factory=dict)
    expires: AwareDatetime

    def keys(self, folder: Path) -> dict[str, object]:
        """As part of agent.toml.

        Args:
            folder: that its files are in.
        """
        identity = str(folder / self.identity)
        tls = {"certificate": identity, "key": identity}
        if self.broker_ca is not None:
            tls["ca"] = str(folder / self.broker_ca)
        document: dict[str, object] = {
            "device": self.device,
            "broker": {"host": self.broker_host, "port": self.broker_port, "tls": tls},
        }
        if self.labels:
            document["labels"] = dict(self.labels)
        if self.update_server:
            document["update"] = {"server": list(self.update_server)}
        return document


def read_provisioned(folder: Path) -> Provisioned | None:
    """What provisioning left in a folder; None where the box is not provisioned.

    Raises:
        RecordDamagedError: it cannot be read.
    """
    return Records(Disk(folder)).read(RECORD, Provisioned)


def provisioned_keys(state_dir: Path) -> Mapping[str, object]:
    """The layer of a box, as part of agent.toml; empty where it is not provisioned.

    Raises:
        RecordDamagedError: the record cannot be read.
    """
    folder = state_dir / FOLDER
    try:
        found = read_provisioned(folder)
    except RecordDamagedError as error:
        if isinstance(error.__cause__, NotADirectoryError):  # whoever writes there says so
            return {}
        problem = f"{error}, in {folder}; the agent's own user can read what is there"
        raise RecordDamagedError(problem) from error
    return {} if found is None else found.keys(folder)
