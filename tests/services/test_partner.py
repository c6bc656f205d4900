"""The partner's webhook: signatures, tries within a deadline, exactly one delivery per risk across restarts, no way inside."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.adapters.webhook import Webhook
from backend.domain.errors import Rejected
from backend.domain.insights import Insight
from backend.domain.times import SECOND
from backend.runtime.webhook_follower import WebhookFollower
from backend.services import partner
from backend.services.partner import Target, Unreachable

NOW = 1_780_000_000_000_000
TARGET = Target("https://partner.example/hook", ("new-key", "old-key"))
DETAIL = {
    "insight_id": "in_1",
    "entity_type": "student",
    "entity_id": "st_1",
    "risk": 90.0,
    "message": "calls",
}


class Poster:
    """Answers in turn: a status, or a failure to raise."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[dict[str, str], bytes]] = []

    def post(self, url: str, headers: Any, body: bytes) -> int:
        self.sent.append((dict(headers), body))
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


def attempt(poster: Poster, clock: Clock | None = None) -> partner.Delivery:
    clock = clock or Clock()
    return partner.deliver(partner.delivery_of(DETAIL, NOW), TARGET, poster, clock, clock.sleep, lambda: 0.5)


def test_each_key_signs_the_time_and_the_body() -> None:
    poster = Poster(204)
    assert attempt(poster).state == "delivered"
    headers, body = poster.sent[0]
    at, *marks = (part.partition("=")[2] for part in headers["X-IOps-Signature"].split(","))
    assert int(at) == NOW // SECOND
    assert marks == [
        hmac.new(key, f"{at}.".encode() + body, sha256).hexdigest() for key in (b"new-key", b"old-key")
    ]


@pytest.mark.parametrize(
    ("answers", "state", "tries"),
    [
        ((204,), "delivered", 1),
        ((503, 204), "delivered", 2),
        ((429, Unreachable("no answer", retry=True), 200), "delivered", 3),
        ((500,) * 9, "failed", 4),
        ((400,), "failed", 1),  # it will be no better the second time
        ((302,), "failed", 1),  # never on to another address
        ((Unreachable("private", retry=False),), "failed", 1),
    ],
)
def test_what_may_pass_is_tried_again_and_what_may_not_is_not(
    answers: tuple[Any, ...], state: str, tries: int
) -> None:
    ended = attempt(Poster(*answers))
    assert (ended.state, ended.tries) == (state, tries)
    assert ended.reason


def test_pauses_grow_and_end_with_the_deadline() -> None:
    clock = Clock()
    ended = attempt(Poster(*(500,) * 9), clock)
    assert clock.now - NOW == 7 * SECOND  # 1 + 2 + 4, with chance in the middle
    assert ended.ended_us == clock.now
    slow = Clock()
    tired = Poster(*(500,) * 9)
    tired.post = lambda *a: (slow.sleep(28), 500)[1]  # type: ignore[method-assign]
    assert attempt(tired, slow).tries == 2


@pytest.mark.parametrize("secret", ["", "[]", "{}", '{"url": 1}', "null"])
def test_a_secret_of_another_shape_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(Rejected, match="must be JSON"):
        partner.target_of(secret)
    assert partner.target_of('{"url": "https://a.example", "secret": "s", "previous": "p"}').secrets == (
        "s",
        "p",
    )


@pytest.mark.parametrize(
    ("url", "address", "why"),
    [
        ("https://inside.example/", "10.0.0.7", "private network"),
        ("https://inside.example/", "169.254.169.254", "private network"),
        ("https://inside.example/", "127.0.0.1", "private network"),
        ("https://inside.example/", "::1", "private network"),
        ("http://partner.example/", "93.184.216.34", "must be https"),
        ("ftp://partner.example/", "93.184.216.34", "not an http address"),
        ("https://user@partner.example/", "93.184.216.34", "not an http address"),
    ],
)
def test_the_webhook_never_leads_inside(
    monkeypatch: pytest.MonkeyPatch, url: str, address: str, why: str
) -> None:
    def resolved(host: str, port: int, **kind: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))]

    def connected(*a: Any, **k: Any) -> Any:
        raise AssertionError("nothing may be connected to")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(socket, "create_connection", connected)
    with pytest.raises(Unreachable, match=why) as refused:
        Webhook().post(url, {}, b"{}")
    assert not refused.value.retry


def test_one_bad_address_among_good_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (address, 443)) for address in ("93.184.216.34", "192.168.1.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    with pytest.raises(Unreachable, match="private network"):
        Webhook().post("https://partner.example/", {}, b"{}")


def risky(name: str, score: float) -> Insight:
    return Insight(
        insight_id=name,
        alert_id=None,
        entity_type="student",
        entity_id="st_1",
        entity_name=None,
        subject=None,
        region=None,
        kind="churn_risk",
        severity="critical",
        claim="st_1 may leave",
        text="Three calls.",
        confidence="likely",
        evidence=(),
        settles="",
        actions=("call",),
        score=score,
        source="rules",
        model=None,
        prompt_version="rules-1",
        facts_digest=name,
        created_us=NOW,
    )


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "iops.db")


def follow(store: SqliteStore, poster: Poster) -> Callable[[], None]:
    """A follower of its own, as after a start; call it to let it do all that there is to do."""
    follower = WebhookFollower(store, TARGET, poster, Clock(), "https://dash.example")
    follower._stop.wait = lambda timeout=None: False  # type: ignore[method-assign]

    def work() -> None:
        while follower.look():
            pass

    return work


def test_every_high_risk_is_told_once_and_low_ones_never(store: SqliteStore) -> None:
    store.save_insights([risky("in_past", 95)], NOW)
    poster = Poster()
    work = follow(store, poster)
    work()  # begins at the present
    store.save_insights([risky("in_1", 85), risky("in_2", 79.9)], NOW)
    store.save_insights([risky("in_1", 85)], NOW)  # announced again
    work()
    work()
    assert [headers["X-IOps-Delivery"] for headers, _ in poster.sent] == ["in_1"]
    delivery = partner.load(store, "in_1")
    assert (delivery.state, delivery.message["risk_score"]) == ("delivered", 85)
    assert delivery.message["url"] == "https://dash.example/students/st_1"
    assert partner.load(store, "in_2") is None


def test_a_restart_goes_on_where_it_was(store: SqliteStore) -> None:
    follow(store, Poster())()
    store.save_insights([risky("in_1", 85), risky("in_2", 90)], NOW)

    class Dies(BaseException):
        pass

    with pytest.raises(Dies):
        follow(store, Poster(Dies()))()  # killed in the middle of a post
    assert partner.load(store, "in_1").state == "pending"
    poster = Poster()
    follow(store, poster)()
    assert [headers["X-IOps-Delivery"] for headers, _ in poster.sent] == ["in_1", "in_2"]
    silent = Poster()
    follow(store, silent)()
    assert silent.sent == []


def test_the_follower_rests_when_nothing_happens(store: SqliteStore) -> None:
    """Its own documents are changes too: it must not follow itself for ever."""
    work = follow(store, Poster())
    work()
    store.save_insights([risky("in_1", 85)], NOW)
    work()
    before = store.last_change()
    work()
    work()
    assert store.last_change() == before
