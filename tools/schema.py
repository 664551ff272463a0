"""Writes docs/schema/*.json, and the table of keys in docs/configuration.md, from the contracts: ``make schema``."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from contracts import desired, health, messages, rpc
from contracts.config import AgentConfig
from contracts.engine_recipe import EngineRecipe
from contracts.manifest import Manifest
from contracts.model_spec import ModelSpec
from tools.key_table import write_key_table

SCHEMA_DIR = Path(__file__).parent.parent / "docs/schema"

_DOCUMENTS: dict[str, type[BaseModel]] = {
    "model": ModelSpec,
    "agent": AgentConfig,
    "manifest": Manifest,
    "engine-recipe": EngineRecipe,
    "status": messages.Status,
    "hello": messages.Hello,
    "facts": messages.FactsMessage,
    "camera-state": messages.CameraState,
    "count-report": messages.CountReport,
    "crossing-event": messages.CrossingEvent,
    "quality-event": messages.QualityEvent,
    "state-event": messages.StateEvent,
    "health": health.Health,
    "desired": desired.Desired,
    "desired-envelope": desired.SignedEnvelope,
    "operator-keys": desired.OperatorKeys,
    "reported": desired.Reported,
    "rpc-snapshot-request": rpc.SnapshotRequest,
    "rpc-self-test-request": rpc.SelfTestRequest,
    "rpc-restart-request": rpc.RestartRequest,
    "rpc-drift-reset-request": rpc.DriftResetRequest,
    "rpc-envelope": rpc.SignedRequest,
    "rpc-reply": rpc.RpcReply,
}


def schemas() -> dict[str, str]:
    """File name to JSON schema, of every document that crosses a boundary."""
    return {
        f"{name}.json": json.dumps(model.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"
        for name, model in _DOCUMENTS.items()
    }


def main() -> None:
    """Write them all."""
    SCHEMA_DIR.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (SCHEMA_DIR / name).write_text(text)
        print(f"wrote docs/schema/{name}")
    write_key_table()


if __name__ == "__main__":
    main()
