"""What the document asks for before anything is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from dashboard import bundle
from dashboard.app import create_app
from dashboard.context import WebConfig
from tests.builders import NOW

TOKEN = "t" * 24


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    app = create_app(SqliteStore(tmp_path / "iops.db"), lambda: NOW, config=WebConfig(token=TOKEN))
    found = app.test_client()
    found.get(f"/?token={TOKEN}")
    yield found
    app.config["hub"].close()


def test_styles_and_scripts_of_our_own_are_one_file_each_and_kept(client: FlaskClient) -> None:
    document = client.get("/").text
    own = set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', document))
    bundles = [address for address in own if re.fullmatch(r"/assets/iops\.[0-9a-f]{16}\.(css|js)", address)]
    assert own - set(bundles) == {"/assets/boot.js", *(a for a in own if "plotly" in a)}
    assert len(bundles) == 2
    for address in bundles:
        answer = client.get(address)
        assert "immutable" in answer.headers["Cache-Control"]
        for path in bundle.ASSETS.glob(f"*.{address.rpartition('.')[2]}"):
            assert (path.read_text() in answer.text) == (path.name not in bundle.APART), path.name


def test_the_chart_library_is_fetched_but_read_by_nobody_yet(client: FlaskClient) -> None:
    document = client.get("/").text
    (link,) = re.findall(r"<link[^>]*plotly[^>]*>", document)
    assert 'rel="prefetch"' in link
    assert client.get(re.search(r'href="([^"]+)"', link)[1]).status_code == 200
    assert "plotly" not in " ".join(re.findall(r"<script[^>]*>", document))
