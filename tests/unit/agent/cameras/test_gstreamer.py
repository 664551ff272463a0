"""Which pipelines may be run, and with which arguments; they run in tests/integration/test_gstreamer.py."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cameras.gstreamer import _reason, parse_pipeline
from agent.cameras.table import check_source, kind_of
from contracts.addresses import shown
from contracts.config import CameraConfig
from contracts.errors import WrittenError


def arguments(source: str, **options: object) -> tuple[str, ...]:
    return parse_pipeline(CameraConfig.model_validate({"id": "gate", "source": source, **options}))


def test_a_pipeline_is_split_as_by_a_shell_and_nothing_in_it_is_run() -> None:
    split = arguments("gst:v4l2src device=/dev/video0 ! 'image/jpeg, width=1280' ! jpegdec ; $(id) `id` > /tmp/x")
    assert split[:4] == ("v4l2src", "device=/dev/video0", "!", "image/jpeg, width=1280")
    assert split[-5:] == (";", "$(id)", "`id`", ">", "/tmp/x")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("gst:", "the pipeline is empty"),
        ("gst:   ", "the pipeline is empty"),
        ("gst:videotestsrc 'x", "cannot be split"),
        ("gst:--gst-plugin-load=/tmp/x.so videotestsrc", "has an option"),
        ("gst:videotestsrc ! filesink location=/etc/passwd", "has 'filesink'"),
        ("gst:videotestsrc ! tee name=t ! fakesink t.", "has 'fakesink'"),
        ("gst:videotestsrc !", "has a '!'"),
        ("gst:rtspsrc location=rtsp://user:s3cret@h/x", "a credential"),
        ("gst:rtspsrc location=rtsp://h/x user-id=a user-pw=s3cret", "a credential"),
        ("gst:souphttpsrc location=http://h/x?token=s3cret", "a credential"),
        ("gst:souphttpsrc location='http://h/user=admin_password=s3cret_channel=1'", "a credential"),
        ("gst:souphttpsrc location=http://h/x extra-headers=h,Authorization=s3cret", "a credential"),
        ("gst:srtsrc uri=srt://h:1 passphrase=s3cret", "a credential"),
        ("csi:x", "expected csi:N"),
        ("csi:0 ! filesink", "expected csi:N"),
    ],
)
def test_what_may_not_be_run_is_refused_before_it_is(source: str, said: str) -> None:
    with pytest.raises(WrittenError, match="camera 'gate'") as caught:
        arguments(source)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value) + shown(source)
    assert kind_of(source).name == "gst"
    with pytest.raises(WrittenError):
        check_source(source)


_SECRET = st.text(string.ascii_uppercase + string.digits + "$&+,;=%*()_~-", min_size=4, max_size=20)


@given(
    secret=_SECRET,
    pipeline=st.sampled_from(
        [
            "rtspsrc location=rtsp://admin:{}@10.0.0.7:554/x ! decodebin",
            'rtspsrc location="rtsp://admin:{}@10.0.0.7/x" ! decodebin',
            "rtspsrc location=rtsp://10.0.0.7/x user-id=admin user-pw={} ! decodebin",
            "souphttpsrc location=https://10.0.0.7/x?password={} ! jpegdec",
            "souphttpsrc location=https://10.0.0.7/x user-id=a user-pw='{}' ! jpegdec",
        ]
    ),
)
def test_no_pipeline_with_a_password_is_run_or_shown(secret: str, pipeline: str) -> None:
    source = "gst:" + pipeline.format(secret)
    with pytest.raises(WrittenError) as caught:
        arguments(source)
    said = str(caught.value) + shown(source)
    assert not any(secret[at : at + 4] in said for at in range(len(secret) - 3))


def test_csi_is_the_jetsons_own_pipeline_scaled_by_its_hardware() -> None:
    assert " ".join(arguments("csi:1")) == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=30000/1000 ! "
        "nvvidconv ! video/x-raw,format=BGRx,width={width},height={height}"
    )
    asked = " ".join(arguments("csi:0", size=[1280, 720], capture_fps=59.94))
    assert "width=1280,height=720,framerate=59940/1000" in asked


def test_the_first_error_is_what_is_said_with_the_systems_reason() -> None:
    lines = [
        "WARNING: something else",
        "ERROR: from element /GstPipeline:pipeline0/GstV4l2Src:v4l2src0: Cannot identify device '/dev/video7'.",
        "Additional debug info:",
        "../sys/v4l2/v4l2_calls.c(608): gst_v4l2_open (): /GstPipeline:pipeline0/GstV4l2Src:v4l2src0:",
        "system error: No such file or directory",
        "ERROR: pipeline doesn't want to preroll.",
        "ERROR: from element /GstPipeline:pipeline0: what follows from it.",
    ]
    assert _reason(lines) == "v4l2src0: Cannot identify device '/dev/video7' (system error: No such file or directory)"
    assert _reason(lines[:2]) == "v4l2src0: Cannot identify device '/dev/video7'"
    assert _reason(["", "killed by a driver.", ""]) == "killed by a driver"
    assert _reason([]) == ""


@given(
    lines=st.lists(st.text(max_size=30) | st.sampled_from(["Additional debug info:", "ERROR: from element /a:b: c"]))
)
def test_whatever_is_said_gives_a_reason(lines: list[str]) -> None:
    assert "\n" not in _reason([line.replace("\n", "") for line in lines])
