"""Our own styles and scripts as one file each: a first visit asks for two addresses instead of forty, each kept for a year.

The address carries a fingerprint of the content, so what changed is asked for anew. Files are joined in the order of their names.
Plotly is a file of its own, fetched beside the page and read when the first chart asks for it (`assets/30-charts.js`).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from flask import Flask, Response

ASSETS = Path(__file__).with_name("assets")
PLOTLY = "00-plotly-cartesian.min.js"
APART = ("boot.js", PLOTLY)  # before the first paint; beside the page


def _joined(suffix: str) -> bytes:
    return b"".join(_parts(suffix))


def _parts(suffix: str) -> Iterator[bytes]:
    for path in sorted(ASSETS.glob(f"*{suffix}")):
        if path.name not in APART:
            yield path.read_bytes() + b"\n"


def _mark(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


class Bundle:
    """What the document refers to; `install` answers for it."""

    def __init__(self) -> None:
        files = {".css": ("text/css", _joined(".css")), ".js": ("text/javascript", _joined(".js"))}
        self._files = {
            f"/assets/iops.{_mark(body)}{end}": (kind, body) for end, (kind, body) in files.items()
        }
        self.style, self.script = self._files
        plotly = f"/assets/{PLOTLY}?m={int((ASSETS / PLOTLY).stat().st_mtime)}"
        self.head = f'<link rel="prefetch" as="script" id="io-plotly" href="{plotly}">\n'

    def install(self, server: Flask) -> None:
        for address, (kind, body) in self._files.items():
            server.add_url_rule(
                address, address, lambda kind=kind, body=body: Response(body, mimetype=kind), methods=["GET"]
            )
