"""``python -m tools.bench.decoders``: what PyAV, OpenCV and GStreamer cost to decode and scale one 1080p H.264 clip.

Each run is a process of its own, in turn, so that none warms another's caches. OpenCV is no dependency of ours: name a
Python that has it with ``--opencv-python``. Figures: docs/adr/0005-decoder.md.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

SIDE = 384
_WARM_UP = 20  # frames
_DECODERS = ("pyav", "opencv", "gstreamer")

app = typer.Typer(pretty_exceptions_enable=False)


def _clip(folder: Path, source: Path, frames: int) -> Path:
    """A real road enlarged to 1080p, H.264 as a camera sends it: no B frames, two seconds a group."""
    import av
    from av.video.stream import VideoStream

    path = folder / f"decoders-{frames}.mp4"
    if path.exists():
        return path
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        stream.codec_context.gop_size = 50
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "23", "x264-params": "slices=1"}
        made = 0
        while made < frames:
            with av.open(str(source), "r") as clip:
                for picture in clip.decode(video=0):
                    if made == frames:
                        break
                    scaled = picture.reformat(1920, 1080, format="yuv420p")
                    scaled.pts, scaled.time_base = made, Fraction(1, 25)
                    out.mux(stream.encode(scaled))
                    made += 1
        out.mux(stream.encode(None))
    return path


def _ours(source: str) -> int:
    """Frames read through the agent's own source."""
    from agent.cameras.frame import Wanted
    from agent.cameras.table import open_source
    from contracts.config import CameraConfig
    from contracts.model_spec import InputSpec

    camera = CameraConfig(id="bench", source=source, realtime=False)
    opened = open_source(camera, Wanted(InputSpec(width=SIDE, height=SIDE)), threading.Event())
    count = 0
    try:
        while opened.read() is not None:
            count += 1
    except Exception as error:
        if "the pipeline ended;" not in str(error):  # a pipeline's end is a fault for a camera, not for a clip
            raise
    finally:
        opened.close()
    return count


_OPENCV = f"""
import json, resource, sys
import cv2
cv2.setNumThreads(1)
clip = cv2.VideoCapture(sys.argv[1])
count = 0
while True:
    came, picture = clip.read()
    if not came:
        break
    cv2.resize(picture, ({SIDE}, {SIDE}), interpolation=cv2.INTER_AREA)
    count += 1
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([count, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


@app.command(hidden=True)
def one(decoder: str, clip: str) -> None:
    """Measure one run of a decoder that this Python has; prints frames, CPU seconds and MB as JSON."""
    pipeline = f"gst:filesrc location='{clip}' ! qtdemux ! h264parse ! avdec_h264 max-threads=1"
    count = _ours(clip if decoder == "pyav" else pipeline)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in used)
    print(json.dumps([count, cpu, sum(usage.ru_maxrss for usage in used) / 1024]))


def _run(decoder: str, clip: Path, opencv_python: Path | None) -> tuple[int, float, float]:
    command = [sys.executable, "-m", "tools.bench.decoders", "one", decoder, str(clip)]
    if decoder == "opencv":
        command = [str(opencv_python), "-c", _OPENCV, str(clip)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    count, cpu, memory = json.loads(run.stdout)
    return int(count), float(cpu), float(memory)


@app.command()
def bench(
    source: Annotated[Path, typer.Option(help="A clip of a real road.")] = Path(
        "../shared/data/videos/intel_car-detection.mp4"
    ),
    frames: Annotated[int, typer.Option(min=60, help="Length of the clip.")] = 300,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turn.")] = 3,
    opencv_python: Annotated[Path | None, typer.Option(help="A Python that has OpenCV.")] = None,
    work: Annotated[Path, typer.Option(help="Where the clips are kept.")] = Path("build/bench"),
) -> None:
    """Print CPU milliseconds a frame (of a long clip less a short one, so that starting costs nothing) and memory."""
    work.mkdir(parents=True, exist_ok=True)
    short, long = _clip(work, source, _WARM_UP), _clip(work, source, frames + _WARM_UP)
    decoders = [name for name in _DECODERS if name != "opencv" or opencv_python is not None]
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in decoders}
    begun = time.monotonic()
    for _ in range(rounds):
        for name in decoders:
            few, start, _memory = _run(name, short, opencv_python)
            many, cpu, memory = _run(name, long, opencv_python)
            costs[name].append(((cpu - start) / (many - few) * 1000, memory))
    for name, runs in costs.items():
        cpu_ms = sorted(cost for cost, _ in runs)
        print(
            f"{name:10} {statistics.median(cpu_ms):5.1f} CPU ms a frame ({cpu_ms[0]:.1f} to {cpu_ms[-1]:.1f}), "
            f"{max(memory for _, memory in runs):.0f} MB, n = {rounds} of {frames} frames"
        )
    print(f"{time.monotonic() - begun:.0f} s")


@app.command()
def reopen(source: str, times: Annotated[int, typer.Option(min=10, help="How often it is opened.")] = 50) -> None:
    """Open a source again and again, one frame each, as after a loss; print seconds and memory an opening."""
    from agent.cameras.frame import Wanted
    from agent.cameras.table import open_source
    from contracts.config import CameraConfig
    from contracts.model_spec import InputSpec

    camera, wanted = CameraConfig(id="bench", source=source, realtime=False), Wanted(InputSpec(width=SIDE, height=SIDE))
    taken, early = [], 0.0
    for number in range(times):
        begun = time.monotonic()
        opened = open_source(camera, wanted, threading.Event())
        opened.read()
        taken.append(time.monotonic() - begun)
        opened.close()
        early = _memory() if number == times // 5 - 1 else early
    print(f"median {statistics.median(taken):.2f} s to the first frame, max {max(taken):.2f}, n = {times}")
    print(f"{early:.0f} MB after {times // 5}, {_memory():.0f} MB after {times}")


@app.command()
def flood(decoder: Annotated[str, typer.Argument(help="ours or ffmpeg")], seconds: float = 5.0) -> None:
    """Have a server send one endless MJPEG picture for so many seconds; print how far the memory grows."""
    from agent.cameras.frame import Wanted
    from agent.cameras.table import open_source
    from agent.cameras.video import Feed, VideoSource
    from contracts.config import CameraConfig
    from contracts.errors import CameraError
    from contracts.model_spec import InputSpec

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_send_endlessly, args=(listener, seconds), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        camera, wanted, stop = (
            CameraConfig(id="b", source=url),
            Wanted(InputSpec(width=64, height=64)),
            threading.Event(),
        )
        before, begun = _memory(), time.monotonic()
        try:
            if decoder == "ffmpeg":
                VideoSource(camera, wanted, Feed(url, url, live=True), stop).read()
            else:
                open_source(camera, wanted, stop).read()
        except CameraError as error:
            print(error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{decoder}: {before:.0f} MB before, {peak:.0f} MB at its peak, {time.monotonic() - begun:.1f} s")


def _send_endlessly(listener: socket.socket, seconds: float) -> None:
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(4096)
        head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"
        connection.sendall(head + b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n\xff\xd8")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection.sendall(bytes(65536))


def _memory() -> float:
    """MB in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


if __name__ == "__main__":
    app()
