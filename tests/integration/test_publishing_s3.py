"""Publishing to an object store that speaks S3: a server of its own process, asked over HTTP."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from contracts.errors import ServerError
from contracts.release import BLOBS
from fleet.publishing.change import Change, apply
from fleet.publishing.check import check
from fleet.publishing.collect import collect
from fleet.publishing.errors import ConflictError
from fleet.publishing.files import open_files
from fleet.publishing.progress import silent
from fleet.publishing.publish import withdraw
from tests.integration.brokers import free_port, wait_until
from tests.integration.tuf_reader import Reader
from tests.unit.fleet.repositories import Operator, now

_MISSING = [name for name in ("moto", "flask", "s3fs") if find_spec(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(_MISSING), reason=f"no S3 here; run: pip install 'moto[s3,server]' s3fs ({_MISSING})"),
    # The client library's own, at its own end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    wait_until(listens)
    before = dict(os.environ)
    address = f"http://127.0.0.1:{port}"
    os.environ.update(
        AWS_ENDPOINT_URL=address,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="not-to-be-shown",
        AWS_DEFAULT_REGION="us-east-1",
    )
    yield address
    os.environ.clear()
    os.environ.update(before)
    process.terminate()
    process.wait()


@pytest.fixture
def operator(endpoint: str, tmp_path: Path) -> Operator:
    import fsspec

    bucket = f"models-{tmp_path.name.replace('_', '-')}"[:60].rstrip("-")
    store = fsspec.filesystem("s3")
    store.mkdir(bucket)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = {"Version": "2012-10-17", "Statement": [everybody]}
    store.call_s3("put_bucket_policy", Bucket=bucket, Policy=json.dumps(policy))
    return Operator(tmp_path, f"s3://{bucket}/fleet")


@pytest.fixture
def reader(operator: Operator, endpoint: str, tmp_path: Path) -> Reader:
    return Reader(tmp_path / "reader", operator.files.where.replace("s3://", f"{endpoint}/"), operator.root)


def test_a_bucket_is_published_to_and_read(operator: Operator, reader: Reader) -> None:
    operator.publish("fake", "1.0.0")
    operator.publish("fake", "1.1.0")
    withdraw(operator.repository(), "fake", "1.0.0", "counts vans twice")
    reader.refresh()
    assert reader.bundle("fake", "1.1.0") is not None
    assert reader.info("fake", "1.0.0").withdrawn is not None
    assert check(operator.repository(), silent).problems == ()


def test_who_comes_second_to_a_bucket_is_refused(operator: Operator) -> None:
    state = operator.state()
    assert not operator.files.create("metadata/1.snapshot.json", b"{}"), "the store should refuse what is there"
    operator.publish("fake", "1.0.0")
    with pytest.raises(ConflictError):
        apply(operator.repository(), state, Change())
    assert operator.versions() == [("fake", "1.0.0")]


def test_what_nobody_needs_goes_from_a_bucket(operator: Operator, reader: Reader) -> None:
    operator.publish("fake", "1.0.0")
    operator.files.replace(f"{BLOBS}/aa/{'a' * 64}", b"nobody's")
    later = operator.at(now() + dt.timedelta(hours=1))
    assert f"{BLOBS}/aa/{'a' * 64}" in collect(later, dt.timedelta(0), dry_run=False)
    assert check(operator.repository(), silent).unreferenced == {}
    reader.refresh()
    assert reader.bundle("fake", "1.0.0") is not None


def test_a_bucket_that_is_not_there_is_said_without_secrets(endpoint: str) -> None:
    with pytest.raises(ServerError, match="check the address, the credentials") as caught:
        open_files("s3://no-such-bucket/fleet").replace("metadata/timestamp.json", b"{}")
    assert "not-to-be-shown" not in str(caught.value)
