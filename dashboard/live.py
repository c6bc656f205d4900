"""Live push: one thread follows the change feed, one bounded box per browser, small coalesced messages.

A message is {"seq", "kinds", "keys", "count"}: what changed, never the data itself. Browsers without a socket ask
/live/poll. A client that does not keep up is dropped and comes back with the sequence it knows.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, jsonify, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed

from backend.services.pushing import merge
from dashboard.context import Feed, WebConfig
from dashboard.security import own_origin, problem

log = logging.getLogger(__name__)
EVERY_S = 0.25  # at most four messages a second
SEND_DEADLINE_S = 5


class Hub:
    """Follows the feed from the first listener on, and keeps what each listener has not seen yet, coalesced."""

    def __init__(self, feed: Feed | None, latest: Callable[[], int] = lambda: 0) -> None:
        """`latest` gives the newest sequence number: what happened before the first listener is no news."""
        self._feed = feed
        self._latest = latest
        self._changed = threading.Condition()
        self._boxes: dict[int, dict[str, Any]] = {}
        self._next = 0
        self.seq = 0
        self._thread: threading.Thread | None = None
        self.closed = False

    def close(self) -> None:
        """Ends every listener's loop within moments, so that a stopping server does not wait for open sockets."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def start(self) -> None:
        """Starts the follower once; also after a fork, as it is called by the first request."""
        with self._changed:
            if self._feed is None or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._follow, name="live-feed", daemon=True)
            self._thread.start()

    def join(self) -> int:
        with self._changed:
            self._next += 1
            self._boxes[self._next] = {}
            return self._next

    def leave(self, box: int) -> None:
        with self._changed:
            self._boxes.pop(box, None)

    @property
    def listeners(self) -> int:
        return len(self._boxes)

    def take(self, box: int, timeout_s: float) -> dict[str, Any] | None:
        """The coalesced message for a listener, waiting up to `timeout_s` for one; None if nothing happened."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._boxes.get(box)) or self.closed, timeout_s)
            message = self._boxes.get(box)
            if not message:
                return None
            self._boxes[box] = {}
            return message

    def publish(self, changes: list[Any]) -> None:
        """Adds changes (seq, kind, key) to every box."""
        with self._changed:
            for change in changes:
                self.seq = max(self.seq, change.seq)
            for box in self._boxes.values():
                merge(box, changes)
            self._changed.notify_all()

    def _follow(self) -> None:
        pause = threading.Event()
        begun = False
        while not self.closed:
            try:
                if not begun:
                    self.seq, begun = self.seq or self._latest(), True
                changes = list(self._feed.wait(self.seq, 5.0)) if self._feed else []
                if changes:
                    self.publish(changes)
                    pause.wait(EVERY_S)
            except Exception:
                log.exception("the change feed could not be read; trying again")
                pause.wait(1.0)


class Writer:
    """The socket of one client for two threads (ours, and the library's that answers pings): whole frames, with a deadline."""

    def __init__(self, sock: socket.socket, deadline_s: int = SEND_DEADLINE_S) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        # The kernel's own send timeout: settimeout() would make reading non-blocking too.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", deadline_s, 0))

    def send(self, data: bytes) -> int:
        """All of `data`, or the connection is cut: half a frame would turn the rest into garbage."""
        with self._lock:
            try:
                self._sock.sendall(data)
            except OSError:
                self._cut()
                raise
        return len(data)

    def _cut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was gone already

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def install(
    server: Flask,
    hub: Hub,
    config: WebConfig,
    tickets: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> None:
    """Routes /live (socket), /live/poll and /live/ticket, with the refusals before the handshake."""
    server.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "max_message_size": 1024}
    sock = Sock(server)

    @server.before_request
    def refuse() -> Response | None:
        if request.path != "/live":
            return None
        if not own_origin(config) or "Origin" not in request.headers:
            return problem(403, "Other origin", "Only this dashboard's own pages may listen.")
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if (
            not upgrade
            or request.headers.get("Sec-WebSocket-Version") != "13"
            or "Sec-WebSocket-Key" not in request.headers
        ):
            return problem(400, "Not a socket", "This address speaks WebSocket, version 13.")
        if hub.listeners >= config.max_sockets:
            return problem(
                503,
                "Too many sockets",
                "As many browsers as allowed are connected; this one asks by polling.",
            )
        return None

    @sock.route("/live")
    def live(ws: Any) -> None:
        serve(ws, hub)

    @server.get("/live/ticket")
    def ticket() -> Response:
        """What opens the WebSocket that pushes from elsewhere; once, within a minute."""
        if tickets is None:
            return problem(404, "No tickets", "Changes are pushed by this server itself.")
        return jsonify(tickets(g.person))

    @server.get("/live/poll")
    def poll() -> Response:
        hub.start()
        after = request.args.get("after", "")
        known = int(after) if after.isdecimal() and len(after) < 18 else hub.seq
        return jsonify(
            {
                "seq": hub.seq,
                "count": max(0, hub.seq - known),
                "kinds": [],
                "keys": [],
                "who": g.person["name"],
            }
        )


def serve(ws: Any, hub: Hub) -> None:
    """Writes messages to one client until it goes, or until it cannot keep up."""
    hub.start()
    ws.sock = Writer(ws.sock)
    box = hub.join()
    try:
        ws.send(json.dumps({"seq": hub.seq, "kinds": [], "keys": [], "count": 0}))
        while ws.connected and not hub.closed:
            message = hub.take(box, 5.0)
            if message is not None:
                ws.send(json.dumps(message))
    except (ConnectionClosed, OSError):
        log.debug("a live client went away")
    finally:
        hub.leave(box)
