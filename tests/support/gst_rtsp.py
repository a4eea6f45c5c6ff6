"""An independent RTSP server: Debian's gst-rtsp-server, run by the system's Python in a separate process.

    /usr/bin/python3 tests/support/gst_rtsp.py --port 0 --mount /cam='( videotestsrc is-live=true ! ... name=pay0 )'

Prints the port once it listens. With --user NAME:PASSWORD every mount asks for digest or basic authentication.
"""

from __future__ import annotations

import argparse
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def _guarded(user: str, method: str) -> Any:
    """An authentication by which only `user` (NAME:PASSWORD) may see and play."""
    name, _, password = user.partition(":")
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    if method == "digest":
        from gi.repository import GstRtsp

        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(name, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    return auth


def _factory(launch: str, guarded: bool) -> Any:
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch)
    factory.set_shared(True)
    if guarded:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    return factory


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--user", default="")
    parser.add_argument("--method", choices=("basic", "digest"), default="basic")
    parser.add_argument("--mount", action="append", required=True, metavar="PATH=LAUNCH")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    if options.user:
        server.set_auth(_guarded(options.user, options.method))
    for mount in options.mount:
        path, _, launch = mount.partition("=")
        server.get_mount_points().add_factory(path, _factory(launch, bool(options.user)))
    if not server.attach(None):
        raise SystemExit(f"cannot listen on port {options.port}")
    print(server.get_bound_port(), flush=True)  # noqa: T201
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
