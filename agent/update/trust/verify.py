"""What metadata files say, as far as their signatures are valid; imported where it is used, for python-tuf's sake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import TypeAdapter, ValidationError
from securesystemslib.exceptions import Error as SignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from agent.update.errors import UpdateError
from agent.update.trust.rules import Role, Seen, Version
from contracts.desired import OperatorKeys, canonical
from contracts.documents import read_document
from contracts.errors import DocumentError
from contracts.manifest import MANIFEST_NAME
from contracts.release import OPERATOR_ROLE, model_role

UNREADABLE = (RepositoryError, SignatureError, ValueError, KeyError, TypeError, AttributeError)
"""What python-tuf raises for hostile bytes."""

_VERSION: TypeAdapter[int] = TypeAdapter(Version)
_Delegator = Root | Targets


@dataclass(frozen=True)
class Verified:
    """Metadata whose signatures are valid; whether it is the newest, or out of date, is another question.

    Args:
        seen: what the rules want to know of it.
        targets: of the top-level role and the delegated ones, by role.
    """

    seen: Seen
    targets: Mapping[str, Targets]

    def operator_keys(self) -> OperatorKeys | None:
        """The keys that sign desired documents; None where the repository names none.

        Raises:
            UpdateError: a box cannot use them.
        """
        top = self.targets.get("targets")
        delegations = top.delegations if top else None
        role = (delegations.roles or {}).get(OPERATOR_ROLE) if delegations else None
        if delegations is None or role is None:
            return None
        if role.threshold != 1:
            raise _unusable(f"expected a threshold of 1, as one operator signs a document, got {role.threshold}")
        keys = {keyid: delegations.keys[keyid].to_dict() for keyid in role.keyids if keyid in delegations.keys}
        try:
            return read_document(OperatorKeys, {"keys": keys}, f"role {OPERATOR_ROLE}")
        except DocumentError as error:
            raise _unusable(f"expected Ed25519 keys, got others ({error})") from error

    def models(self) -> list[str]:
        """Names of the models that there are roles for."""
        top = self.targets.get("targets")
        roles = (top.delegations.roles or {}) if top and top.delegations else {}
        prefix = model_role("")
        return [name.removeprefix(prefix) for name in roles if name.startswith(prefix)]

    def versions(self, model: str, role: str) -> list[str]:
        """The versions of a model that its role names and that were not withdrawn, in the order of their release."""
        found = self.targets.get(role)
        ordered = sorted(found.targets.values(), key=_release) if found else []
        parts = [target.path.split("/") for target in ordered if not _custom(target).get("withdrawn")]
        return [one[1] for one in parts if len(one) == 3 and (one[0], one[2]) == (model, MANIFEST_NAME)]  # noqa: PLR2004 - parts of the path


def read_files(root: bytes, roots: Mapping[int, str], files: Mapping[str, bytes]) -> Verified:
    """Read the metadata that the keys of a root accept; other files are passed over.

    Args:
        root: the newest root, which is trusted already.
        roots: version to SHA-256, up to this one.
        files: the others by their names; a delegated role counts only in the version that the snapshot lists.

    Raises:
        UpdateError: something signed is beyond all reason.
    """
    top = Metadata[Root].from_bytes(root).signed
    roles = {"root": _role(_parse(root), top, "root")}
    listed: dict[str, int] = {}
    targets: dict[str, Targets] = {}
    for name in _in_order(files):
        delegator = top if name in {"timestamp", "snapshot", "targets"} else targets.get("targets")
        found = _read(files, name, delegator)
        if found is None:
            continue
        payload, role = found
        if isinstance(payload, Snapshot):
            listed = {_role_name(file): _whole(meta.version) for file, meta in payload.meta.items()}
        if isinstance(payload, Targets):
            if listed and listed.get(name) != payload.version:
                continue
            targets[name] = payload
        roles[name] = role
    return Verified(Seen(roots, roles, listed), targets)


def _custom(target: TargetFile) -> Mapping[str, object]:
    return target.custom if isinstance(target.custom, dict) else {}


def _release(target: TargetFile) -> int:
    number = _custom(target).get("release")
    return number if isinstance(number, int) else 0


def _in_order(files: Iterable[str]) -> list[str]:
    names = {_role_name(unquote(file)) for file in files}
    first = [name for name in ("timestamp", "snapshot", "targets") if name in names]
    return first + sorted(names - set(first) - {"root"})


def _read(files: Mapping[str, bytes], name: str, delegator: _Delegator | None) -> tuple[Signed, Role] | None:
    """A role's metadata; None where it cannot be read, or is not signed as it has to be."""
    data = files.get(f"{name}.json")
    if delegator is None or not data:
        return None
    kinds: dict[str, type[Signed]] = {"timestamp": Timestamp, "snapshot": Snapshot}
    try:
        parsed = _parse(data)
        role = _role(parsed, delegator, name)
    except UNREADABLE:
        return None
    if not isinstance(parsed.signed, kinds.get(name, Targets)) or len(role.signers) < role.threshold:
        return None
    return parsed.signed, role


@dataclass(frozen=True)
class _Parsed:
    signed: Signed
    payload: bytes
    signatures: dict[str, Signature]


def _parse(data: bytes) -> _Parsed:
    metadata = Metadata[Targets].from_bytes(data)  # or of another kind
    return _Parsed(metadata.signed, metadata.signed_bytes, metadata.signatures)


def _role(parsed: _Parsed, delegator: _Delegator, name: str) -> Role:
    result = delegator.get_verification_result(name, parsed.payload, parsed.signatures)
    signers = frozenset(map(_digest, result.signed.values()))
    others = frozenset(map(_digest, result.unsigned.values()))
    return Role(_whole(parsed.signed.version), parsed.signed.expires, signers, signers | others, result.threshold)


def _digest(key: Key) -> str:
    """SHA-256 of what a key is; its id may be anything."""
    return hashlib.sha256(canonical([key.keytype, key.scheme, key.keyval])).hexdigest()


def _role_name(file: str) -> str:
    return file.removesuffix(".json")


def _whole(version: object) -> int:
    try:
        return _VERSION.validate_python(version, strict=True)
    except ValidationError:
        shown = repr(version)[:40]
        raise UpdateError(
            "metadata_invalid", f"expected a version of 1 to 2^53 - 1 in signed metadata, got {shown}; sign it anew"
        ) from None


def _unusable(problem: str) -> UpdateError:
    return UpdateError(
        "metadata_invalid", f"role {OPERATOR_ROLE} of the repository: {problem}; have targets signed anew"
    )
