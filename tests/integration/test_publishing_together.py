"""Several publishers at once: who comes second is refused and runs again; nothing that was released is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fleet.publishing.change import Repository
from fleet.publishing.check import check
from fleet.publishing.errors import ConflictError
from fleet.publishing.files import open_files
from fleet.publishing.keys import Keyring
from fleet.publishing.passphrases import Passphrases
from fleet.publishing.progress import silent
from fleet.publishing.publish import publish
from fleet.publishing.roles import Validity
from tests.integration.nginx import nginx
from tests.integration.tuf_reader import Reader
from tests.unit.fleet.repositories import Operator, bundle, now

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")


def publish_all(folder: Path, model: str) -> int:
    """Release all versions of a model; gives how often somebody else was faster."""
    keyring = Keyring((folder / "keys",), Passphrases(None))
    files = open_files(str(folder / "repository"))
    refused = 0
    for version in VERSIONS:
        while True:
            repository = Repository(files, (folder / "root.json").read_bytes(), keyring, Validity(now(), {}))
            try:
                publish(repository, folder / f"{model}-{version}.bundle", silent)
            except ConflictError:
                refused += 1
            else:
                break
    return refused


def test_publishers_at_once_lose_nothing(tmp_path: Path) -> None:
    operator = Operator(tmp_path)
    (tmp_path / "root.json").write_bytes(operator.root)
    # Two of them release the same model: its role is theirs together.
    models = ["one", "two", "three", "three"]
    for model in set(models):
        for version in VERSIONS:
            bundle(tmp_path, model, version)
    program = [sys.executable, "-m", "tests.integration.test_publishing_together", str(tmp_path)]
    running = [
        subprocess.Popen([*program, model], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for model in models
    ]
    ended = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * len(models), ended
    released = [(model, version) for model in sorted(set(models)) for version in VERSIONS]
    assert operator.versions() == released
    assert check(operator.repository(), silent).problems == ()
    with nginx(tmp_path / "repository") as url:
        reader = Reader(tmp_path / "reader", url, operator.root)
        reader.refresh()
        assert all(reader.bundle(*one) is not None for one in released)


if __name__ == "__main__":
    sys.stdout.write(f"{publish_all(Path(sys.argv[1]), sys.argv[2])}\n")
