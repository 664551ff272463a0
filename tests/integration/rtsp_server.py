"""A real RTSP server for one H.264 MP4 file, on GStreamer; run by the system's Python, which has its bindings.

    /usr/bin/python3 tests/integration/rtsp_server.py CLIP [--port N] [--user NAME --password WORD] [--through ELEMENTS]
        [--shared]

It serves ``rtsp://127.0.0.1:PORT/stream``, prints PORT, and ends when its standard input does, so that it never
outlives the test that started it. Every client gets the clip from its start, in real time; with ``--shared`` from where
the others are. CLIP is an MP4 or a bare H.264 file; ``--through`` puts elements between it and the network.

Debian packages: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - the versions have to be chosen before

_ROLE = "viewer"


def _factory(clip: str, through: str, *, shared: bool) -> Any:
    factory = GstRtspServer.RTSPMediaFactory()
    # Not encoded again: what arrives is what the file holds, so that pictures can be compared with it.
    location = clip.replace("\\", "\\\\").replace('"', '\\"')
    demuxed = "h264parse" if clip.endswith(".h264") else "qtdemux ! h264parse"
    factory.set_launch(
        f'( filesrc location="{location}" ! {demuxed} ! {through} ! rtph264pay name=pay0 pt=96 config-interval=-1 )'
    )
    factory.set_shared(shared)
    return factory


def _protect(server: Any, factory: Any, user: str, password: str) -> None:
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", _ROLE)
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(_ROLE, permission, True)
    factory.set_permissions(permissions)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--port", default="0")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--through", default="identity")
    parser.add_argument("--shared", action="store_true")
    wanted = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(wanted.port)
    factory = _factory(wanted.clip, wanted.through, shared=wanted.shared)
    if wanted.user:
        _protect(server, factory, wanted.user, wanted.password)
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.stderr.write(f"cannot listen on 127.0.0.1:{wanted.port}\n")
        return 2
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP, lambda *_: loop.quit())
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
