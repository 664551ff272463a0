"""Any name and version that a model may have, and any bytes in place of the metadata."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import DelegatedRole

from contracts.documents import ID_PATTERN
from contracts.errors import EdgetallyError
from contracts.release import manifest_path, model_paths, model_role
from tests.unit.fleet.repositories import Operator

NAMES = st.from_regex(re.compile(ID_PATTERN.removesuffix("$") + r"\Z"))
VERSIONS = st.from_regex(re.compile(r"^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}([-+][0-9A-Za-z.-]{1,16})?\Z"))


@given(name=NAMES, other=NAMES, version=VERSIONS)
def test_a_models_role_may_sign_its_own_manifests_and_nobody_elses(name: str, other: str, version: str) -> None:
    role = DelegatedRole(model_role(name), ["key"], 1, terminating=True, paths=[model_paths(name)])
    assert role.is_delegated_path(manifest_path(name, version))
    assert role.is_delegated_path(manifest_path(other, version)) == (name == other)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, version=VERSIONS)
def test_any_model_is_published_and_found(shared: Operator, name: str, version: str) -> None:
    shared.publish(name, version)
    assert (name, version) in shared.versions()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_metadata_that_were_changed_are_refused_in_a_sentence(changed: Operator, data: st.DataObject) -> None:
    paths = sorted(changed.state().paths() - {"metadata/1.root.json"})
    path = data.draw(st.sampled_from(paths))
    whole = changed.files.read(path)
    assert whole is not None
    start = data.draw(st.integers(0, len(whole) - 1))
    put = data.draw(st.binary(max_size=8) | st.sampled_from([b"[", b"}", b"null", b"-1", b"9" * 400]))
    cut = data.draw(st.integers(0, 40))
    broken = whole[:start] + put + whole[start + cut :]
    changed.files.replace(path, broken)
    try:
        state = changed.state()
    except EdgetallyError:
        pass
    else:
        assert state.roles.keys() == {"targets", "model-fake"}, "what is signed is unchanged"
    finally:
        changed.files.replace(path, whole)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("names")
    return Operator(folder, f"memory://{folder.name}")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder: Path = tmp_path_factory.mktemp("changed")
    operator = Operator(folder, f"memory://{folder.name}-changed")
    operator.publish()
    return operator
