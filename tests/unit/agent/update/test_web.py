"""urllib3 is needed by whoever fetches from a web server, and by nobody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.update.fetch.http import HttpTransport
from contracts.errors import RuntimeMissingError
from contracts.update_config import UpdateConfig

ROOT = Path(__file__).resolve().parents[4]


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)
    with pytest.raises(RuntimeMissingError, match=r"edgetally\[update\]"):
        HttpTransport(UpdateConfig(server=("http://127.0.0.1:9",))).open("metadata/timestamp.json")


def test_it_is_imported_with_the_first_question() -> None:
    program = (
        "import sys\nfrom agent.update.fetch import fetcher, folder, http\n"
        "from contracts.update_config import UpdateConfig\n"
        "http.HttpTransport(UpdateConfig(server=('http://127.0.0.1:9',)))\nprint('urllib3' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.stdout.strip() == "False", run.stdout + run.stderr
