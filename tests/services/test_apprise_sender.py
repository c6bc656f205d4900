"""Sending through Apprise, to sinks on this machine: good and bad ones, and never into a network that was not named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from backend.adapters import apprise_sender
from backend.adapters.apprise_sender import AppriseSender
from backend.domain.errors import Rejected
from backend.domain.messages import Item, Message
from tests.sinks import HTTP_MODES, SMTP_MODES, HttpSink, SmtpSink, running

MESSAGE = Message(
    subject="Warning: Maya keeps calling\r\nBcc: everybody@school.example",
    severity="warning",
    items=(
        Item(
            title="Maya keeps calling",
            severity="warning",
            who="Student <b>Maya</b> & Co (Algebra, West)",
            why="3 inbound calls in 14 days.",
            facts=(("Calls in 14 days", "3"),),
            since="Mon 4 May, 09:30 CEST, 5 min ago",
            do="Call back within a day.",
            link="https://iops.school.example/alerts?open=al_1",
        ),
    ),
    foot="Message nt_1",
)
TRUSTED = frozenset(("127.0.0.1",))


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> AppriseSender:
    monkeypatch.setattr(apprise_sender, "ANSWER_S", 1.0)
    return AppriseSender(TRUSTED)


@pytest.fixture
def http() -> Iterator[HttpSink]:
    with running(HttpSink) as sink:
        yield sink


@pytest.fixture
def smtp() -> Iterator[SmtpSink]:
    with running(SmtpSink) as sink:
        yield sink


def test_a_webhook_gets_the_text_and_the_delivery_id(sender: AppriseSender, http: HttpSink) -> None:
    assert sender.send(http.url, MESSAGE, "nt_1").ok
    ((headers, body),) = http.got
    assert headers["X-IOps-Delivery"] == "nt_1"
    said = json.loads(body)
    assert "3 inbound calls in 14 days." in said["message"]
    assert "\n" not in said["title"]


def test_a_mail_says_the_same_as_text_and_as_html_and_its_subject_is_one_line(
    sender: AppriseSender, smtp: SmtpSink
) -> None:
    assert sender.send(smtp.url, MESSAGE, "nt_1").ok
    (mail,) = smtp.got
    assert mail["X-IOps-Delivery"] == "nt_1"
    assert mail["Subject"] == "Warning: Maya keeps calling Bcc: everybody@school.example"
    assert mail["Bcc"] is None
    assert mail["Message-ID"] == "<nt_1@127.0.0.1>"
    parts: list[Any] = list(mail.walk())
    kinds = {
        part.get_content_type(): part.get_payload(decode=True) for part in parts if not part.is_multipart()
    }
    assert set(kinds) == {"text/plain", "text/html"}
    plain, rich = (kinds[kind].decode() for kind in ("text/plain", "text/html"))
    for fact in ("Maya keeps calling", "3 inbound calls in 14 days.", "Call back within a day.", "Mon 4 May"):
        assert fact in plain
        assert fact in rich
    assert "https://iops.school.example/alerts?open=al_1" in plain
    assert "{" not in plain  # no style sheet in it
    assert "<b>Maya</b>" not in rich
    assert "&lt;b&gt;Maya&lt;/b&gt; &amp; Co" in rich
    assert "<img" not in rich


@pytest.mark.parametrize("mode", HTTP_MODES)
def test_a_bad_webhook_is_a_failure_with_a_reason_that_holds_nothing_of_the_address(
    sender: AppriseSender, http: HttpSink, mode: str
) -> None:
    http.mode = mode
    outcome = sender.send(http.url, MESSAGE, "nt_1")
    if mode == "slow":
        assert outcome.ok
        return
    assert not outcome.ok
    assert not outcome.final
    assert outcome.reason
    assert "hook-secret-path" not in outcome.reason
    assert http.tries <= 1  # a redirection is not followed
    http.mode = "ok"
    assert sender.send(http.url, MESSAGE, "nt_1").ok  # nothing of it is left behind


@pytest.mark.parametrize("mode", SMTP_MODES)
def test_a_bad_mail_server_is_a_failure_with_a_reason_that_holds_nothing_of_the_address(
    sender: AppriseSender, smtp: SmtpSink, mode: str
) -> None:
    smtp.mode = mode
    outcome = sender.send(smtp.url, MESSAGE, "nt_1")
    if mode == "slow":
        assert outcome.ok
        return
    assert not outcome.ok
    assert outcome.final == (mode == "550")
    assert outcome.reason
    assert "hunter2" not in outcome.reason
    smtp.mode = "ok"
    assert sender.send(smtp.url, MESSAGE, "nt_1").ok


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1:{port}/",
        "json://localhost:{port}/",
        "json://[::1]:{port}/",
        "mailto://u:p@127.0.0.1:{port}?from=a@b.example&to=c@d.example",
        "json://169.254.169.254/latest/meta-data",
        "json://10.0.0.7/",
        "json://127.0.0.1:{port}/?redirect=yes",
    ],
)
def test_nothing_is_sent_into_a_network_that_was_not_named(http: HttpSink, url: str) -> None:
    outcome = AppriseSender().send(url.format(port=http.port), MESSAGE, "nt_1")
    assert not outcome.ok
    assert outcome.final
    assert "IOPS_NOTIFY_HOSTS" in outcome.reason
    assert http.tries == 0


def test_other_connections_of_the_process_are_not_looked_at(http: HttpSink) -> None:
    assert not AppriseSender().send(f"json://127.0.0.1:{http.port}/", MESSAGE, "nt_1").ok
    connection = HTTPConnection("127.0.0.1", http.port, timeout=5)
    connection.request("POST", "/", b"x")
    assert connection.getresponse().status == 200


@pytest.mark.parametrize(
    "url", ["", "nonsense", "https://", "mailto://", "slack://only-one", "json://a\nb/", "file:///etc/passwd"]
)
def test_an_address_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(Rejected, match="no address") as refused:
        AppriseSender().check(url)
    assert url == "" or url not in str(refused.value)
    assert AppriseSender().send(url, MESSAGE, "nt_1").final


def test_the_service_of_an_address_is_known() -> None:
    check = AppriseSender().check
    assert check("mailtos://user:pw@school.example") == "E-Mail"
    assert check("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general") == "Slack"
