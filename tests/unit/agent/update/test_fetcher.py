"""Fetching onto the shelf: resumed, paced, bounded, and never wrong."""

from __future__ import annotations

import errno
import hashlib
import logging
from pathlib import Path

import pytest

from agent.update.errors import UpdateError, UpdateStoppedError, UpdateWaitsError
from agent.update.ports import Transport
from contracts.release import blob_path
from contracts.update_config import UpdateConfig
from tests.fakes.shelf_disk import FakeShelfDisk
from tests.fakes.transport import FakeMirror, FakeTransport
from tests.unit.agent.update.shelves import Box, blob, download, manifest_of, served

A = bytes(range(100))
B = b"b" * 55
C = b"c" * 30


def box(*mirrors: FakeMirror, chunk: int = 10, config: UpdateConfig | None = None) -> tuple[Box, FakeTransport]:
    transport = FakeTransport(*mirrors, chunk=chunk)
    return Box(FakeShelfDisk(), transport, config), transport


def on_shelf(box: Box) -> list[bytes]:
    assert isinstance(box.disk, FakeShelfDisk)
    content = box.disk.content("blobs")
    for name, data in content.items():
        assert hashlib.sha256(data).hexdigest() == name
    return sorted(content.values())


def in_flight(box: Box) -> dict[str, bytes]:
    assert isinstance(box.disk, FakeShelfDisk)
    return box.disk.content("partial")


def test_files_are_fetched_in_the_order_given_and_each_once() -> None:
    there, transport = box(FakeMirror(served(A, B)))
    there.fetch(B, A, B)
    assert on_shelf(there) == sorted([A, B])
    assert transport.asked == [(download(B).path, 0), (download(A).path, 0)]
    assert in_flight(there) == {}


def test_what_is_there_is_not_fetched_again() -> None:
    there, transport = box(FakeMirror(served(A, B)))
    there.fetch(A)
    there.fetch(A, B)
    assert [path for path, _ in transport.asked] == [download(A).path, download(B).path]


def test_what_the_disk_spoiled_is_fetched_again(caplog: pytest.LogCaptureFixture) -> None:
    there, _ = box(FakeMirror(served(A)))
    there.fetch(A)
    assert isinstance(there.disk, FakeShelfDisk)
    there.disk.spoil(f"blobs/{blob(A).sha256}")
    with caplog.at_level(logging.ERROR):
        there.fetch(A)
    assert on_shelf(there) == [A]
    assert "spoiled" in caplog.text


def test_an_empty_file_needs_no_server() -> None:
    there, transport = box()
    there.fetch(b"")
    assert on_shelf(there) == [b""]
    assert transport.asked == []


def test_a_connection_that_breaks_is_gone_on_with_where_it_broke() -> None:
    there, transport = box(FakeMirror(served(A), breaks=[30, 40]))
    there.fetch(A)
    assert on_shelf(there) == [A]
    assert [start for _, start in transport.asked] == [0, 30, 70]
    assert transport.closed == 3


def test_a_link_that_brings_a_little_each_time_gets_there() -> None:
    there, transport = box(FakeMirror(served(A), breaks=[10] * 20))
    there.fetch(A)
    assert len(transport.asked) == 10


def test_a_server_that_gives_no_ranges_begins_anew() -> None:
    there, transport = box(FakeMirror(served(A), breaks=[30], ranges=False))
    there.fetch(A)
    assert on_shelf(there) == [A]
    assert [start for _, start in transport.asked] == [0, 30]


def test_another_content_in_between_begins_anew() -> None:
    mirror = FakeMirror({download(A).path: b"x" * 100}, breaks=[30])
    there, transport = box(mirror)
    original = transport.open

    def open_after_the_change(path: str, start: int = 0, tag: str | None = None) -> object:
        if start:
            mirror.files, mirror.tag = served(A), '"2"'
        return original(path, start, tag)

    transport.open = open_after_the_change  # type: ignore[assignment,method-assign]
    there.fetch(A)
    assert on_shelf(there) == [A]
    assert transport.blamed == []


def test_a_server_that_is_away_is_waited_for_and_what_came_is_kept() -> None:
    mirror = FakeMirror(served(A), breaks=[50])
    there, transport = box(mirror)
    mirror.breaks = [50, 0, 0, 0, 0, 0, 0]
    with pytest.raises(UpdateWaitsError, match="the connection ended") as caught:
        there.fetch(A)
    assert caught.value.code == "server_unreachable"
    assert caught.value.seconds > 0
    mirror.breaks = []
    later = Box(there.disk, transport)
    later.fetch(A)
    assert transport.asked[-1] == (download(A).path, 50)
    assert on_shelf(later) == [A]


def test_each_further_fetch_that_fails_waits_longer() -> None:
    there, _ = box(FakeMirror(away=True))
    waits = []
    for _ in range(8):
        with pytest.raises(UpdateWaitsError) as caught:
            there.fetch(A)
        waits.append(caught.value.seconds)
    assert waits == sorted(waits)
    assert waits[0] < 61
    assert waits[-1] > 1000
    assert waits[-1] <= 1800


@pytest.mark.parametrize(
    ("mirror", "said"),
    [
        (FakeMirror({}), "there is no"),
        (FakeMirror(wrong=True), "log-in page"),
        (FakeMirror({download(A).path: A + b"x"}), "expected a file of 100 bytes, got one of 101"),
        (FakeMirror({download(A).path: A[:-1]}), "expected a file of 100 bytes, got one of 99"),
        (FakeMirror(served(A), size=7), "expected a file of 100 bytes, got one of 7"),
        (FakeMirror({download(A).path: A + b"x"}, says_size=False), "expected 100 bytes, got more"),
        (FakeMirror({download(A).path: A[:-1]}, says_size=False), "expected 100 bytes, got 99"),
    ],
)
def test_a_server_with_something_else_is_asked_again_later(mirror: FakeMirror, said: str) -> None:
    there, transport = box(mirror)
    with pytest.raises(UpdateWaitsError, match=said) as caught:
        there.fetch(A)
    assert caught.value.code == "server_wrong"
    assert len(transport.asked) <= 7
    assert on_shelf(there) == []


def test_not_a_byte_more_than_a_file_has_is_written() -> None:
    there, _ = box(FakeMirror({download(A).path: A * 1000}, says_size=False), chunk=64)
    with pytest.raises(UpdateWaitsError):
        there.fetch(A)
    assert all(len(data) <= len(A) for data in in_flight(there).values())


def test_a_mirror_that_lies_about_a_size_is_blamed_and_the_next_one_asked() -> None:
    liar = FakeMirror({download(A).path: A + b"x"})
    there, transport = box(liar, FakeMirror(served(A)))
    there.fetch(A)
    assert on_shelf(there) == [A]
    assert transport.blamed == [liar]


def test_a_wrong_digest_is_fetched_once_more_from_elsewhere() -> None:
    liar = FakeMirror({download(A).path: bytes(100)})
    there, transport = box(liar, FakeMirror(served(A)))
    there.fetch(A)
    assert on_shelf(there) == [A]
    assert transport.blamed == [liar]
    assert [start for _, start in transport.asked] == [0, 0]


def test_a_wrong_digest_twice_ends_the_attempt_and_leaves_nothing_of_it() -> None:
    there, transport = box(FakeMirror({download(A).path: bytes(100)}), FakeMirror({download(A).path: b"x" * 100}))
    with pytest.raises(UpdateError, match=f"expected SHA-256 {blob(A).sha256}") as caught:
        there.fetch(A)
    assert caught.value.code == "digest_mismatch"
    assert len(transport.asked) == 2
    assert on_shelf(there) == []
    assert not any(in_flight(there)[name].strip(b"\0") for name in in_flight(there))


def test_a_wrong_beginning_from_an_earlier_run_is_not_held_against_the_release() -> None:
    mirror = FakeMirror({download(A).path: b"x" * 100}, tag=None, breaks=[50, 0, 0, 0, 0, 0, 0])
    there, transport = box(mirror)
    with pytest.raises(UpdateWaitsError):
        there.fetch(A)
    mirror.files, mirror.breaks = served(A), []
    later = Box(there.disk, transport)
    later.fetch(A)
    assert on_shelf(later) == [A]
    assert [start for _, start in transport.asked[-2:]] == [50, 0]


def test_a_stop_within_a_file_keeps_what_came() -> None:
    there, transport = box(FakeMirror(served(A)))
    chunks = 0

    def stopped() -> bool:
        return chunks > 4

    def count() -> None:
        nonlocal chunks
        chunks += 1

    transport.during = count
    with pytest.raises(UpdateStoppedError):
        there.fetch(A, stopped=stopped)
    assert transport.closed == 1
    there.fetch(A)
    assert transport.asked[-1] == (download(A).path, 40)


def test_a_stop_is_honoured_while_a_slow_link_is_waited_for() -> None:
    there, _ = box(FakeMirror(served(A)), config=UpdateConfig(keep_free_mb=0, max_kbit=0.001))
    with pytest.raises(UpdateStoppedError):
        there.fetch(A, stopped=lambda: there.waited.now > 5)
    assert there.waited.now < 6


def test_no_more_of_the_link_is_taken_than_is_allowed() -> None:
    there, _ = box(FakeMirror(served(A, B)), config=UpdateConfig(keep_free_mb=0, max_kbit=0.08))  # 10 bytes/s
    there.fetch(A, B)
    assert there.waited.now == pytest.approx((len(A) + len(B)) / 10, rel=0.1)


def test_without_a_bound_nothing_is_waited_for() -> None:
    there, _ = box(FakeMirror(served(A)))
    there.fetch(A)
    assert there.waited.now == 0


def test_boxes_of_a_fleet_do_not_begin_to_fetch_much_at_once() -> None:
    much = bytes(2_000_000)
    there = Box(FakeShelfDisk(), FakeTransport(FakeMirror(served(much, A)), chunk=100_000), spread=40)
    there.fetch(A)
    assert there.waited.now == 0, "a small file is no burden"
    there.fetch(much)
    assert there.waited.now == 20
    assert ("begins in 20 s, so that not all boxes do at once", None) in there.notes
    there.fetch(much)
    assert there.waited.now == 20, "nothing to fetch, nothing to wait for"


def test_progress_says_bytes_and_rate() -> None:
    big = bytes(3_000_000)
    config = UpdateConfig(keep_free_mb=0, max_kbit=8000)  # 1 MB/s
    there, _ = box(FakeMirror(served(big)), chunk=100_000, config=config)
    there.fetch(big)
    texts = [text for text, _ in there.notes]
    fractions = [fraction for _, fraction in there.notes if fraction is not None]
    assert texts[-1].startswith("3.0 of 3.0 MB")
    assert any(text == "1.1 of 3.0 MB, 1.1 MB/s" or text.endswith("1.0 MB/s") for text in texts)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert len(texts) < 10, "at most one a second"


def test_what_came_before_counts_as_progress() -> None:
    mirror = FakeMirror(served(A), breaks=[50, 0, 0, 0, 0, 0, 0])
    there, transport = box(mirror)
    with pytest.raises(UpdateWaitsError):
        there.fetch(A)
    later = Box(there.disk, transport)
    mirror.breaks = []
    later.fetch(A)
    assert later.notes[0][1] == 0.5


def test_more_than_the_quota_is_refused_with_the_numbers_before_anything_is_asked() -> None:
    there, transport = box(FakeMirror(served(A)), config=UpdateConfig(quota_mb=1e-4 - 1e-6, keep_free_mb=0))
    with pytest.raises(UpdateError, match=r"0\.0 MB to fetch and 0\.0 MB .* 'update\.quota_mb'") as caught:
        there.fetch(A)
    assert caught.value.code == "over_quota"
    assert transport.asked == []


def test_too_little_space_is_refused_with_the_numbers() -> None:
    there, transport = box(FakeMirror(served(A)), config=UpdateConfig(keep_free_mb=200))
    assert isinstance(there.disk, FakeShelfDisk)
    there.disk.space = 200_000_050
    with pytest.raises(UpdateError, match=r"would leave 200\.0 MB of 200\.0 MB free.*'update\.keep_free_mb'") as caught:
        there.fetch(A)
    assert caught.value.code == "no_space"
    there.disk.space += 50
    there.fetch(A)
    assert len(transport.asked) == 1


def test_what_nobody_needs_makes_room_before_anything_is_refused() -> None:
    disk = FakeShelfDisk()
    transport = FakeTransport(FakeMirror(served(A, B, C)))
    config = UpdateConfig(keep_free_mb=0, quota_mb=160e-6)
    before = Box(disk, transport, config)
    before.fetch(A, C)  # 130 bytes
    kept = before.shelf.assemble(manifest_of({"c": C}), [blob(C).sha256]).name
    there = Box(disk, transport, config, keep=[kept])
    there.fetch(B)  # A has to go, the kept bundle has C
    assert on_shelf(there) == sorted([B, C])
    assert there.shelf.check(kept) == []


def test_a_file_that_is_wanted_again_is_no_room() -> None:
    there, _ = box(FakeMirror(served(A, B)), config=UpdateConfig(keep_free_mb=0, quota_mb=120e-6))
    there.fetch(A)
    with pytest.raises(UpdateError) as caught:
        there.fetch(A, B)
    assert caught.value.code == "over_quota"
    assert on_shelf(there) == [A]


def test_what_is_reserved_already_is_not_counted_twice() -> None:
    mirror = FakeMirror(served(A), breaks=[50, 0, 0, 0, 0, 0, 0])
    there, _ = box(mirror, config=UpdateConfig(keep_free_mb=0, quota_mb=150e-6))
    with pytest.raises(UpdateWaitsError):
        there.fetch(A)
    mirror.breaks = []
    there.fetch(A)
    assert on_shelf(there) == [A]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "no_space"),
        (errno.EDQUOT, "no_space"),
        (errno.EIO, "storage"),
        (errno.EROFS, "storage"),
        (errno.EFBIG, "storage"),
    ],
)
def test_a_disk_that_fails_at_any_operation_ends_the_attempt_with_the_reason_and_the_next_one_works(
    number: int, code: str
) -> None:
    clean, _ = box(FakeMirror(served(A, B)))
    clean.fetch(A, B)
    assert isinstance(clean.disk, FakeShelfDisk)
    for operation in range(len(clean.disk.operations)):
        disk = FakeShelfDisk()
        disk.fail_in, disk.error = operation, number
        there = Box(disk, FakeTransport(FakeMirror(served(A, B))))
        with pytest.raises(UpdateError) as caught:
            there.fetch(A, B)
        assert caught.value.code == code
        assert on_shelf(there) in ([], [A], [B], sorted([A, B]))
        there.fetch(A, B)
        assert on_shelf(there) == sorted([A, B])


def test_bytes_that_could_not_be_flushed_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.update.partial._EVERY_BYTES", 20)
    disk = FakeShelfDisk()
    transport = FakeTransport(FakeMirror(served(A)))
    there = Box(disk, transport)
    flushes = 0
    flush = disk.sync

    def fail_the_second(name: str) -> None:
        nonlocal flushes
        flushes += name == f"partial/{blob(A).sha256}"
        if flushes == 2:
            raise OSError(errno.EIO, "Input/output error")
        flush(name)

    disk.sync = fail_the_second  # type: ignore[method-assign]
    with pytest.raises(UpdateError):
        there.fetch(A)
    there.fetch(A)
    assert transport.asked == [(download(A).path, 0)] * 2


def routes(root: Path, *lines: str) -> Path:
    (root / "proc/net").mkdir(parents=True, exist_ok=True)
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    (root / "proc/net/route").write_text(head + "".join(f"{line}\n" for line in lines))
    return root


ETHERNET = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0"
MODEM = "wwan0\t00000000\t0101A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0"


def test_a_network_that_is_not_allowed_is_waited_out_before_a_byte_goes_over_it(tmp_path: Path) -> None:
    transport = FakeTransport(FakeMirror(served(A)))
    config = UpdateConfig(keep_free_mb=0, interfaces=("eth0", "wlan0"))
    there = Box(FakeShelfDisk(), transport, config, root=routes(tmp_path, MODEM))
    with pytest.raises(UpdateWaitsError, match="over eth0 or wlan0; it is wwan0"):
        there.fetch(A)
    assert transport.asked == []
    routes(tmp_path, MODEM, ETHERNET)
    there.fetch(A)
    assert on_shelf(there) == [A]


def test_a_link_that_fails_over_within_a_file_stops_it_and_what_came_is_kept(tmp_path: Path) -> None:
    transport = FakeTransport(FakeMirror(served(A)))
    config = UpdateConfig(keep_free_mb=0, interfaces=("eth0",), max_kbit=0.008)  # 1 byte/s
    there = Box(FakeShelfDisk(), transport, config, root=routes(tmp_path, ETHERNET))
    transport.during = lambda: there.waited.now > 40 and routes(tmp_path, MODEM)
    with pytest.raises(UpdateWaitsError, match="it is wwan0"):
        there.fetch(A)
    transport.during = lambda: None
    routes(tmp_path, ETHERNET)
    there.fetch(A)
    assert transport.asked[-1][1] > 0


def test_the_fakes_are_what_the_ports_ask_for() -> None:
    transport: Transport = FakeTransport()
    assert transport
    assert blob_path(blob(A).sha256) == download(A).path
