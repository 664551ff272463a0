from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cameras.addresses import redacted, scheme_of, shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("rtsp://user:s3cret@10.0.0.7:554/stream1", "rtsp://10.0.0.7:554"),
        ("rtsp://10.0.0.7/user=admin_password=s3cret_channel=1", "rtsp://10.0.0.7"),
        ("http://cam.local/video?user=admin&pwd=s3cret", "http://cam.local"),
        ("rtsp://user:s3/cret@10.0.0.7/x", "rtsp://…"),
        ("rtsp://user:s3@cret@10.0.0.7/x", "rtsp://10.0.0.7"),
        ("rtsp://user:s3?cret@10.0.0.7/x", "rtsp://…"),
        ("rtsp://user:s3cret@[fe80::1]:554/x", "rtsp://[fe80::1]:554"),
        ("rtsp://user:s3cret@host:port/x", "rtsp://…"),
        ("rtsp://user:s3cret@[nonsense/x", "rtsp://…"),
        ("rtsp://", "rtsp://…"),
        ("/srv/clips/road.mp4", "/srv/clips/road.mp4"),
        ("synthetic:seed=1", "synthetic:seed=1"),
    ],
)
def test_enough_is_shown_to_find_it_and_no_secret(source: str, said: str) -> None:
    assert shown(source) == said


@given(password=st.text(min_size=5, max_size=20), path=st.sampled_from(["/x", "", "/a/b?c=d#e"]))
def test_no_password_is_shown_whatever_it_holds(password: str, path: str) -> None:
    source = f"rtsp://user:{password}@127.0.0.1:1{path}"
    assert shown(source) in {"rtsp://127.0.0.1:1", "rtsp://…"}
    assert redacted(f"cannot open {source}!", source) == f"cannot open {shown(source)}!"


def test_schemes() -> None:
    assert scheme_of("RTSP://x") == "rtsp"
    assert scheme_of("/dev/video0") is None
    assert scheme_of("synthetic:seed=1") is None
