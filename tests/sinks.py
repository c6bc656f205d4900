"""Places that messages are sent to, on this machine, which take them, refuse them or behave badly as they are told."""

from __future__ import annotations

import email
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANGS_S = 30.0
HTTP_MODES = ("429", "500", "403", "302", "hangs", "slow", "closes", "down", "nonsense", "truncated")
SMTP_MODES = ("451", "550", "greeting 421", "hangs", "closes", "drops after data", "down", "nonsense", "slow")


class HttpSink:
    """Keeps (headers, body) of every post. `mode`: "ok", or one of HTTP_MODES; it may change while it runs."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.tries = 0
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sink.tries += 1
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                mode = sink.mode
                if mode == "hangs":
                    sink.over.wait(HANGS_S)
                    return
                if mode == "slow":
                    time.sleep(0.3)
                if mode == "closes":
                    self.connection.close()
                    return
                if mode == "nonsense":
                    self.wfile.write(b"this is no http\r\n\r\n")
                    return
                if mode == "truncated":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
                    return
                if mode in ("ok", "slow"):
                    sink.got.append((dict(self.headers), body))
                self.send_response(int(mode) if mode.isdigit() else 200)
                if mode == "302":
                    self.send_header("Location", f"http://127.0.0.1:{sink.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *a: Any) -> None:
                pass

        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        port = closed_port() if self.mode == "down" else self.port
        return f"json://127.0.0.1:{port}/hook-secret-path"

    @property
    def ids(self) -> list[str]:
        return [headers["X-IOps-Delivery"] for headers, _ in self.got]

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class SmtpSink:
    """Keeps every mail. `mode`: "ok", or one of SMTP_MODES."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.got: list[Message] = []
        self.tries = 0
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                sink.tries += 1
                if sink.mode == "hangs":
                    sink.over.wait(HANGS_S)
                    return
                if sink.mode == "closes":
                    return
                if sink.mode == "nonsense":
                    self.wfile.write(b"hello, who is there?\r\n")
                    return
                self._say("421 come back later" if sink.mode == "greeting 421" else "220 sink")
                while line := self.rfile.readline().decode("latin-1").strip():
                    verb = line.split()[0].upper()
                    if verb in ("EHLO", "HELO"):
                        self.wfile.write(b"250-sink\r\n250 AUTH PLAIN LOGIN\r\n")
                    elif verb == "AUTH":
                        self._say("235 welcome")
                    elif verb == "RCPT" and sink.mode in ("451", "550"):
                        self._say(f"{sink.mode} not now")
                    elif verb == "DATA":
                        self._say("354 go on")
                        lines = []
                        while (text := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(text[1:] if text.startswith(b"..") else text)
                        if sink.mode == "drops after data":
                            return
                        if sink.mode == "slow":
                            time.sleep(0.3)
                        sink.got.append(email.message_from_bytes(b"".join(lines)))
                        self._say("250 taken")
                    elif verb == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 fine")

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *a: Any) -> None:
                pass

        self.over = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        port = closed_port() if self.mode == "down" else self.port
        return f"mailto://user:hunter2secret@127.0.0.1:{port}?from=iops@school.example&to=ana@school.example"

    @property
    def ids(self) -> list[str]:
        return [mail["X-IOps-Delivery"] for mail in self.got]

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(kind: type[HttpSink] | type[SmtpSink]) -> Iterator[Any]:
    sink = kind()
    try:
        yield sink
    finally:
        sink.close()
