"""docs/rpc.md and docs/privacy.md: their examples are taken as they stand, and every code is explained."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from contracts.config import AgentConfig
from contracts.desired import RefusalCode
from contracts.documents import read_document
from contracts.rpc import SelfTestRequest
from tests.unit.agent.remote.boxes import LOCAL
from tests.unit.agent.rpc.test_requests import CODES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "rpc.md").read_text()
OF_DOCUMENTS_ONLY = {"stale_epoch", "stale_revision", "revision_reused", "needs_signature", "reverted"}


def block(page: str, kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    return str(found)


def test_the_request_is_one() -> None:
    SelfTestRequest.model_validate_json(block(PAGE, "json self-test"), strict=True)


def test_the_commands_make_a_request(tmp_path: Path) -> None:
    commands = block(PAGE, "sh").partition("mosquitto_sub")[0]
    run = subprocess.run(["sh", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    made = SelfTestRequest.model_validate_json((tmp_path / "request.json").read_bytes(), strict=True)
    assert made.expires - made.issued == dt.timedelta(minutes=5)


def test_every_code_is_explained() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert explained >= CODES - OF_DOCUMENTS_ONLY
    assert set(get_args(RefusalCode)) >= OF_DOCUMENTS_ONLY


def test_the_tables_for_privacy_are_taken() -> None:
    document = tomllib.loads(block((DOCS / "privacy.md").read_text(), "toml"))
    config = read_document(AgentConfig, json.loads(json.dumps(LOCAL | document)), "docs/privacy.md")
    assert config.privacy.blur == ("faces", "plates")
    assert len(config.camera[0].mask) == 1
