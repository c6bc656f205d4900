"""A mail of our own making to an address that Apprise has read: text and HTML side by side, and a name that stays the same in every try.

Apprise knows the servers and modes of the providers, but makes the text of a mail out of its HTML, and tells no reason of a refusal.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formataddr
from typing import Any

from backend.domain import messages
from backend.domain.messages import Message, one_line
from backend.services.notifying import Outcome


def send(plugin: Any, message: Message, delivery_id: str, timeout_s: float) -> Outcome:
    """Send to everybody the plugin (apprise's NotifyEmail) names, in one transaction of the mail server."""
    to = [address for _, address in plugin.targets]
    hidden = sorted({*plugin.cc, *plugin.bcc} - set(to))
    made = letter(
        message, delivery_id, plugin.from_addr, to, sorted(set(plugin.cc) - set(to)), plugin.smtp_host
    )
    try:
        with _connected(plugin, timeout_s) as server:
            if plugin.secure_mode == "starttls":
                server.starttls(context=_tls(plugin))
            if plugin.user and plugin.password:
                server.login(plugin.user, plugin.password)
            refused = server.send_message(made, plugin.from_addr[1], to + hidden)
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        return Outcome(
            False, f"the mail server refused every recipient ({_codes(codes)})", final=min(codes) >= 500
        )
    except smtplib.SMTPAuthenticationError as error:
        return Outcome(False, f"the mail server refused the password ({error.smtp_code})")
    except smtplib.SMTPResponseException as error:
        return Outcome(
            False, f"the mail server answered {error.smtp_code}", final=500 <= error.smtp_code < 600
        )
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Outcome(False, f"no answer from the mail server ({type(error).__name__})")
    if refused:  # the others have it: trying again would send it to them twice
        return Outcome(
            True, f"{len(refused)} of {len(to + hidden)} recipients were refused by the mail server"
        )
    return Outcome(True)


def letter(
    message: Message, delivery_id: str, sender: tuple[Any, str], to: list[str], cc: list[str], host: str
) -> EmailMessage:
    """The mail. EmailMessage refuses line breaks in headers; there are none, subjects are made one line."""
    made = EmailMessage()
    made["Subject"] = one_line(message.subject)
    made["From"] = formataddr((one_line(str(sender[0] or "iOps")), sender[1]))
    made["To"] = ", ".join(to)
    if cc:
        made["Cc"] = ", ".join(cc)
    made["Message-ID"] = f"<{delivery_id}@{host}>"
    made["X-IOps-Delivery"] = delivery_id
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(messages.text(message))
    made.add_alternative(messages.html(message), subtype="html")
    return made


def _connected(plugin: Any, timeout_s: float) -> smtplib.SMTP:
    if plugin.secure_mode == "ssl":
        return smtplib.SMTP_SSL(plugin.smtp_host, plugin.port, timeout=timeout_s, context=_tls(plugin))
    return smtplib.SMTP(plugin.smtp_host, plugin.port, timeout=timeout_s)


def _tls(plugin: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not plugin.verify_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _codes(codes: set[int]) -> str:
    return ", ".join(map(str, sorted(codes)))
