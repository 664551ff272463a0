"""The agent's settings, in layers: what provisioning gave, the file, credentials, the environment and the flags.

Each lies over those before it.

``EDGETALLY_BROKER__PASSWORD`` is ``broker.password``: the prefix, then the path with two underscores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from agent.credentials import read_credentials, with_credentials
from agent.provisioning.identity import provisioned_keys
from contracts.config import AgentConfig
from contracts.documents import document_error
from contracts.errors import DocumentError
from contracts.layers import merge
from runtime.documents import load_toml

ENV_PREFIX = "EDGETALLY_"
_ENGINES = "engines"
_TUNING = "tuning"
_STATE_DIR = "state_dir"


def engines_dir(config: AgentConfig) -> Path:
    """Where the daemon keeps the engines that were built on this box."""
    return Path(config.state_dir) / _ENGINES


def tuning_dir(config: AgentConfig) -> Path:
    """Where it is kept what was measured on this box."""
    return Path(config.state_dir) / _TUNING


def user_engines_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The same for who runs without a configuration: the user's cache (XDG Base Directory Specification 0.8)."""
    cache = Path(environment.get("XDG_CACHE_HOME", ""))
    home = Path(environment.get("HOME") or "/tmp")  # noqa: S108 - a user without a home
    return (cache if cache.is_absolute() else home / ".cache") / "edgetally" / _ENGINES


class _FileSource(PydanticBaseSettingsSource):
    """A TOML file that was read already, so that its errors are ours."""

    def __init__(self, settings: type[BaseSettings], document: Mapping[str, object]) -> None:
        super().__init__(settings)
        self._document = dict(document)

    def get_field_value(self, field: object, field_name: str) -> tuple[object, str, bool]:
        """One key of the file; asked for by the base class."""
        del field
        return self._document.get(field_name), field_name, False

    def __call__(self) -> dict[str, object]:
        """The whole file."""
        return self._document


def state_dir_of(file: Mapping[str, object], flags: Mapping[str, object] | None = None) -> Path:
    """The state directory that results from all layers, before anything else of them is looked at.

    Args:
        file: agent.toml's content.
        flags: what the command line sets.
    """
    set_by = ((flags or {}).get(_STATE_DIR), os.environ.get(f"{ENV_PREFIX}{_STATE_DIR.upper()}"), file.get(_STATE_DIR))
    found = next((one for one in set_by if isinstance(one, str) and one), None)
    return Path(found or str(AgentConfig.model_fields[_STATE_DIR].default))


def load_config(path: Path, flags: Mapping[str, object] | None = None) -> AgentConfig:
    """The configuration that results from all layers.

    Args:
        path: agent.toml.
        flags: what the command line sets, nested as in the file.

    Raises:
        DocumentError: a layer is unreadable, or the result does not fit.
        RecordDamagedError: what provisioning left cannot be read.
    """
    file = load_toml(path)
    below = merge(provisioned_keys(state_dir_of(file, flags)), file)
    document = with_credentials(below, read_credentials())

    class Settings(AgentConfig, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, _FileSource(settings_cls, document)

    try:
        settings = Settings(**dict(flags or {}))  # type: ignore[arg-type]
    except ValidationError as error:
        raise document_error(AgentConfig, error, str(path)) from None
    except SettingsError as error:
        raise DocumentError("environment", [f"{error}; check the variables {ENV_PREFIX}*"]) from None
    return AgentConfig.model_validate({name: getattr(settings, name) for name in AgentConfig.model_fields})
