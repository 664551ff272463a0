"""What a box need not have installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import RuntimeMissingError
from tests.unit.agent.update.trust.repository import Box, Repository

ROOT = Path(__file__).resolve().parents[5]
PROGRAM = """
import json, sys
from pathlib import Path

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError("not on this box", name=name)

sys.meta_path.insert(0, Blocked())
from agent.update.trust.releases import TrustedReleases
from contracts.update_config import UpdateConfig
from tests.fakes.metadata_server import MetadataServer

state = Path(sys.argv[1])
files = json.loads((state / "files.json").read_text())
server = MetadataServer({{path: data.encode() for path, data in files.items()}})
releases = TrustedReleases.under(state, UpdateConfig(), server)
print(releases.find("cars", "1.0.0").path, len(releases.operator_keys().keys))
assert "cryptography" not in sys.modules
"""


def run(folder: Path, *blocked: str) -> subprocess.CompletedProcess[str]:
    repository = Repository("cars")
    repository.release("cars", "1.0.0")
    repository.publish()
    (folder / "root.json").write_bytes(repository.anchor)
    files = {path: data.decode() for path, data in repository.files().items()}
    (folder / "files.json").write_text(json.dumps(files))
    program = PROGRAM.format(blocked=set(blocked))
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_signatures_are_verified_without_the_cryptography_package(tmp_path: Path) -> None:
    done = run(tmp_path, "cryptography")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("targets/cars/1.0.0/")
    assert done.stdout.split()[-1] == "1"


@pytest.mark.parametrize("package", ["tuf", "securesystemslib"])
def test_without_the_extra_it_says_which_one_is_missing(tmp_path: Path, package: str) -> None:
    done = run(tmp_path, package)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert RuntimeMissingError.__name__ in last
    assert f"the package '{package}'" in last
    assert "edgetally[update]" in last


def test_metadata_is_fetched_by_the_transport_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*arguments: object) -> None:
        raise AssertionError("python-tuf opened a connection")

    monkeypatch.setattr("socket.socket.connect", no_socket)
    Box(tmp_path, Repository("cars")).refresh()
