"""Sending through Apprise: mail, chat, text messages and webhooks behind one kind of address. Nothing is sent into this network.

Apprise opens its connections itself, so the addresses are checked where they are used: the interpreter announces every connect
before it is made, and one to an address that is not public is refused there, whatever name or redirection led to it.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apprise
from apprise.plugins.email import NotifyEmail

from backend.adapters import mail
from backend.domain import messages
from backend.domain.errors import Rejected
from backend.domain.messages import Message, one_line
from backend.services.notifying import Outcome

ANSWER_S = 10.0
MAILS = frozenset(
    (
        "mailto",
        "mailtos",
        "brevo",
        "mailersend",
        "mailgun",
        "o365",
        "postmark",
        "resend",
        "sendgrid",
        "ses",
        "smtp2go",
        "sparkpost",
    )
)
_KINDS = {
    "critical": apprise.NotifyType.FAILURE,
    "warning": apprise.NotifyType.WARNING,
    "info": apprise.NotifyType.INFO,
}
_sending = threading.local()  # of the thread that sends: allowed addresses, what was said and refused


class Refused(OSError):
    """A connection into a private network."""


class AppriseSender:
    """Implements services.notifying.Sender. `trusted`: host names in a private network that may be sent to."""

    def __init__(self, trusted: frozenset[str] = frozenset()) -> None:
        self._trusted = trusted
        _listen()

    def check(self, url: str) -> str:
        """The name of the service. Raises Rejected, with nothing of the address in the message."""
        plugin = _plugin(url)
        if plugin is None:
            raise Rejected(
                "this is no address that messages can be sent to; write it like mailtos://user:password@example.com or slack://..."
            )
        return str(plugin.service_name or "webhook")

    def send(self, url: str, message: Message, delivery_id: str) -> Outcome:
        plugin = _plugin(url)
        if plugin is None:
            return Outcome(False, "the address cannot be used", final=True)
        with _guarded(self._trusted) as heard:
            try:
                outcome = self._sent(plugin, message, delivery_id, url)
            except Exception as error:  # a plugin's own fault must not end the thread
                outcome = Outcome(False, f"failed ({type(error).__name__})")
        if heard["refused"]:
            return Outcome(
                False,
                "the address leads into a private network; name its host in IOPS_NOTIFY_HOSTS",
                final=True,
            )
        said = outcome.reason or ("" if outcome.ok else heard["said"] or "no answer")
        return Outcome(outcome.ok, _without(one_line(said, 200), url, plugin), outcome.final)

    def _sent(self, plugin: Any, message: Message, delivery_id: str, url: str) -> Outcome:
        if isinstance(plugin, NotifyEmail):
            return mail.send(plugin, message, delivery_id, ANSWER_S)
        headers = getattr(plugin, "headers", None)
        if isinstance(headers, dict):
            headers["X-IOps-Delivery"] = delivery_id
        rich = url.partition("://")[0].lower() in MAILS
        body = messages.html(message) if rich else messages.text(message)
        form = apprise.NotifyFormat.HTML if rich else apprise.NotifyFormat.TEXT
        kind = _KINDS[message.severity]
        return Outcome(
            plugin.notify(title=one_line(message.subject), body=body, notify_type=kind, body_format=form)
        )


def _plugin(url: str) -> Any:
    asset = apprise.AppriseAsset(
        app_id="iOps", app_desc="iOps Dashboard", http_redirects=False, storage_mode="memory"
    )
    if any(not c.isprintable() for c in url) or url.startswith(("file:", "http+file:")):
        return None
    plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is not None:
        plugin.redirects = False  # whatever the address asks for
        plugin.socket_read_timeout = ANSWER_S
    return plugin


def _without(said: str, url: str, plugin: Any) -> str:
    """What a plugin said of a failure, without anything of its address."""
    parts = [plugin.user, plugin.password, plugin.host, url, *getattr(plugin, "fullpath", "").split("/")]
    if any(part and len(part) > 3 and part in said for part in parts if isinstance(part, str)):
        return "refused or without an answer"
    return said


@contextmanager
def _guarded(trusted: frozenset[str]) -> Iterator[dict[str, Any]]:
    """While a thread sends: only public addresses, and those of trusted hosts, can be connected to."""
    allowed = {str(entry[4][0]) for host in trusted for entry in _resolved(host)}
    heard: dict[str, Any] = {"allowed": allowed, "refused": False, "said": ""}
    _sending.heard = heard
    try:
        yield heard
    finally:
        _sending.heard = None


def _resolved(host: str) -> list[Any]:
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []


def _before_connect(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    heard = getattr(_sending, "heard", None)
    if heard is None:
        return
    address = arguments[1]
    host = str(address[0]) if isinstance(address, tuple) else ""
    try:
        good = host in heard["allowed"] or ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        good = False  # a socket file, or no number
    if not good:
        heard["refused"] = True
        raise Refused("not a public address")


class _Hearing(logging.Handler):
    """Keeps the last warning that a plugin logs in the thread that sends; that is how Apprise says what went wrong."""

    def emit(self, record: logging.LogRecord) -> None:
        heard = getattr(_sending, "heard", None)
        if heard is not None and record.levelno >= logging.WARNING:
            heard["said"] = record.getMessage()


_listening = threading.Lock()
_heard_from: list[logging.Handler] = []


def _listen() -> None:
    """Once in a process; neither can be taken back."""
    with _listening:
        if not _heard_from:
            _heard_from.append(_Hearing())
            logger = logging.getLogger("apprise")
            logger.addHandler(_heard_from[0])
            logger.propagate = False  # it may name addresses: none of it reaches our own log
            sys.addaudithook(_before_connect)
