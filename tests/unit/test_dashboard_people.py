"""Named tokens sign in to the dashboard with their role, and only while they are good."""

from __future__ import annotations

import flask
from flask import Flask

from backend.services.access import Credential
from dashboard import sessions
from dashboard.context import WebConfig


class _People:
    """Two named tokens, one of which can be revoked."""

    def __init__(self) -> None:
        self.tokens = {
            b"viewer-token": Credential(key_id="at_1", name="vera", kind="access", role="viewer", digest=b""),
            b"sender-key": Credential(key_id="ik_1", name="feed", kind="ingest", role="sender", digest=b""),
        }

    def find(self, secret: bytes, now_us: int) -> Credential | None:
        return self.tokens.get(secret)

    def living(self, key_id: str) -> Credential | None:
        return next((c for c in self.tokens.values() if c.key_id == key_id), None)


def test_a_named_token_signs_in_with_its_role_until_it_is_revoked():
    people = _People()
    made = sessions.Sessions(WebConfig(token="local-token"), people)
    server = Flask("test")
    sessions.install(server, made)
    server.add_url_rule("/who", "who", lambda: dict(flask.g.person))
    client = server.test_client()
    assert client.get("/login?token=sender-key").status_code == 401
    assert client.get("/who?token=viewer-token").status_code == 303
    person = client.get("/who").get_json()
    assert (person["name"], person["role"]) == ("vera", "viewer")
    del people.tokens[b"viewer-token"]
    assert client.get("/who").status_code == 401
