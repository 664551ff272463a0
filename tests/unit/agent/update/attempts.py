"""Attempts for tests, and any sequence of what may happen to one."""

from __future__ import annotations

from hypothesis import strategies as st

from agent.update.rules import Attempt, InstalledModel, Wish, begun
from contracts.update import UpdateCode, WantedModel

GOOD, OLD = "a" * 64, "b" * 64
CODES: tuple[UpdateCode, ...] = (
    "too_slow",
    "server_unreachable",
    "golden_mismatch",
    "storage",
    "no_frames",
    "internal",
)


def wish(epoch: int | None = 1, revision: int | None = 1, version: str = "2.0.0") -> Wish:
    return Wish(epoch=epoch, model_revision=revision, models={"main": WantedModel(name="m", version=version)})


def installed(manifest: str = GOOD, version: str = "2.0.0") -> InstalledModel:
    return InstalledModel(name="m", version=version, manifest=manifest)


def attempt(**changes: object) -> Attempt:
    return begun(wish(), None).model_copy(update=changes)


events = st.lists(
    st.one_of(
        st.tuples(st.just("passed"), st.booleans()),
        st.tuples(st.just("broke"), st.sampled_from(CODES)),
        st.tuples(st.just("started"), st.none()),
        st.tuples(st.just("superseded"), st.none()),
    ),
    max_size=100,
)
