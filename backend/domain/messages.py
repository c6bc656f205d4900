"""What is said in a message, and the same model as plain text and as HTML for mails: no images, nothing fetched, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import msgspec

from backend.domain.alerts import SEVERITIES, Alert
from backend.domain.rules import RULES, pretty
from backend.domain.times import MINUTE, from_us

WORDS = {"critical": "Critical", "warning": "Warning", "info": "Info"}
MOST_SUBJECT, MOST_TEXT, MOST_FACTS = 160, 600, 6
_INK = {"critical": "#b42318", "warning": "#8a5a00", "info": "#175cd3"}
_LABELS = {
    "ib_calls_14d": "Calls in 14 days",
    "ib_calls_7d": "Calls in 7 days",
    "health_score": "Health",
    "risk_score": "Risk",
    "sessions_7d": "Sessions in 7 days",
    "sessions_14d": "Sessions in 14 days",
    "sessions_30d": "Sessions in 30 days",
    "gap_hours": "Gap in hours",
    "avg_rating": "Mean rating, 30 days",
    "available_hours": "Hours offered",
    "booked_hours": "Hours booked",
    "balance_status": "Balance",
}


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to know about: `why` in a sentence, `facts` as (label, value), `do` what to do, `link` where to do it."""

    title: str
    severity: str = ""  # empty: none
    who: str = ""
    why: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    since: str = ""
    do: str = ""
    link: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """`subject` is one line; `lead` is a paragraph before the items, `foot` one after them."""

    subject: str
    items: tuple[Item, ...]
    severity: str = "info"
    lead: str = ""
    foot: str = ""
    link: str = ""  # of the whole; empty: each item has its own


def one_line(text: str, most: int = MOST_SUBJECT) -> str:
    """Text that can stand in a header: control characters and line breaks are spaces, and it is cut with a sign."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def item_of(
    alert: Alert, now_us: int, public_url: str, zone: Any, explanation: str = "", note: str = ""
) -> Item:
    """An alert as an item; times are written in `zone` (a tzinfo)."""
    rule = RULES.get(alert.rule_id)
    name = alert.entity_name or alert.entity_id
    kind = "" if alert.entity_type in ("cell", "series", "system") else f"{pretty(alert.entity_type)} "
    place = ", ".join(pretty(part) for part in (alert.subject, alert.region) if part)
    who = f"{kind}{name}" + (f" ({place})" if place and alert.entity_type != "cell" else "")
    return Item(
        title=one_line(alert.title),
        severity=alert.severity,
        who=one_line(who),
        why=one_line(" ".join(filter(None, (sentence(alert.message), explanation, note))), MOST_TEXT),
        facts=facts_of(alert.details),
        since=f"{moment(alert.opened_us, zone)}, {age(now_us - alert.opened_us)} ago",
        do=rule.runbook if rule else "",
        link=f"{public_url.rstrip('/')}/alerts?open={alert.alert_id}",
    )


def facts_of(details: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The evidence's numbers and words with their labels, at most MOST_FACTS; lists and nested ones are left to the page."""
    found = []
    for name, value in details.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or value == "":
            continue
        words = (
            f"{value:,.2f}".rstrip("0").rstrip(".")
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else pretty(value)
        )
        found.append((_LABELS.get(name, pretty(name)), one_line(words, 80)))
    return tuple(found[:MOST_FACTS])


def of_alerts(items: Sequence[Item], *, simulated: bool = False, lead: str = "") -> Message:
    """One message about one matter, or about several of the same person: the worst comes first and gives the subject."""
    ordered = sorted(items, key=lambda item: -SEVERITIES.index(item.severity))
    worst = ordered[0]
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    subject = f"{'[demo] ' if simulated else ''}{WORDS[worst.severity]}: {worst.title}{more}"
    return Message(subject=one_line(subject), items=tuple(ordered), severity=worst.severity, lead=lead)


def sentence(text: str) -> str:
    """Begins with a capital, ends with a stop."""
    text = text.strip()
    return text and text[:1].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def moment(us: int, zone: Any) -> str:
    """ "Mon 4 May, 09:30 CEST"."""
    local = from_us(us).astimezone(zone)
    return f"{local:%a} {local.day} {local:%b, %H:%M} {local.tzname() or 'UTC'}"


def age(us: int) -> str:
    """ "3 h", "2 d", "5 min"."""
    minutes = max(0, us) // MINUTE
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def text(message: Message) -> str:
    """Plain text, one fact a line."""
    parts = [message.lead] if message.lead else []
    for item in message.items:
        lines = [f"{WORDS[item.severity].upper()}  {item.title}" if item.severity else item.title]
        lines += [f"  {line}" for line in _lines(item)]
        parts.append("\n".join(lines))
    parts += [part for part in (message.link, message.foot) if part]
    return "\n\n".join(parts) + "\n"


def _lines(item: Item) -> Iterable[str]:
    for label, value in (("Who", item.who), ("Why", item.why)):
        if value:
            yield f"{label}: {value}"
    if item.facts and not item.severity:  # a list of its own
        yield from (f"{label}: {value}" for label, value in item.facts)
    elif item.facts:
        yield "Numbers: " + "; ".join(f"{label} {value}" for label, value in item.facts)
    for label, value in (("Since", item.since), ("What to do", item.do), ("Open it", item.link)):
        if value:
            yield f"{label}: {value}"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>
@media (prefers-color-scheme: dark) {{
  .page {{ background: #14171c !important; }} .card {{ background: #1d2128 !important; border-top-color: #343a44 !important; border-right-color: #343a44 !important; border-bottom-color: #343a44 !important; }}
  .ink {{ color: #e8eaed !important; }} .dim {{ color: #a5adba !important; }} .link {{ color: #8ab4ff !important; }}
  .critical {{ color: #ff9a91 !important; }} .warning {{ color: #f2c14e !important; }} .info {{ color: #8ab4ff !important; }}
  .go {{ background: #8ab4ff !important; color: #10141a !important; }}
}}
</style></head>
<body class="page" style="margin:0;padding:0;background:#f4f5f7">
<table role="presentation" width="100%" cellspacing="0" cellpadding="0" class="page" style="background:#f4f5f7"><tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="100%" cellspacing="0" cellpadding="0" style="max-width:600px;font:15px/1.5 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">
{body}
</table></td></tr></table></body></html>"""


def html(message: Message) -> str:
    """A mail of tables and inline styles, because mail programs know little else; dark where the reader's program is."""
    rows = [
        _row(
            f'<h1 class="ink" style="margin:0;font-size:20px;line-height:1.3;color:#1b1f24">{escape(message.subject)}</h1>'
        )
    ]
    if message.lead:
        rows.append(_row(f'<p class="ink" style="margin:0;color:#1b1f24">{_breaks(message.lead)}</p>'))
    rows += [_row(_card(item)) for item in message.items]
    if message.link:
        rows.append(_row(_go(message.link, "Open the dashboard")))
    if message.foot:
        rows.append(
            _row(f'<p class="dim" style="margin:0;font-size:13px;color:#57606a">{_breaks(message.foot)}</p>')
        )
    return _PAGE.format(title=escape(message.subject), body="\n".join(rows))


def _row(inside: str) -> str:
    return f'<tr><td style="padding:0 0 14px">{inside}</td></tr>'


def _card(item: Item) -> str:
    parts = []
    if item.severity:
        word = f'<div class="{item.severity}" style="font-size:13px;font-weight:700;color:{_INK[item.severity]}">{WORDS[item.severity]}</div>'
        parts.append(word)
    parts.append(
        f'<h2 class="ink" style="margin:2px 0 8px;font-size:17px;line-height:1.35;color:#1b1f24">{escape(item.title)}</h2>'
    )
    facts = [
        ("Who", item.who),
        ("Why", item.why),
        *item.facts,
        ("Since", item.since),
        ("What to do", item.do),
    ]
    cells = "".join(_fact(label, value) for label, value in facts if value)
    if cells:
        parts.append(
            f'<table role="presentation" cellspacing="0" cellpadding="0" width="100%" style="font-size:15px">{cells}</table>'
        )
    if item.link:
        parts.append(
            f'<div style="padding-top:10px">{_go(item.link, "Open the alert" if item.severity else "Open it")}</div>'
        )
    edge = _INK.get(item.severity, "#8c959f")
    return (
        '<table role="presentation" width="100%" cellspacing="0" cellpadding="0" class="card" '
        f'style="background:#ffffff;border:1px solid #d0d7de;border-left:4px solid {edge}"><tr>'
        f'<td style="padding:14px 16px">{"".join(parts)}</td></tr></table>'
    )


def _fact(label: str, value: str) -> str:
    return (
        f'<tr><td class="dim" valign="top" style="padding:2px 12px 2px 0;width:120px;color:#57606a">{escape(label)}</td>'
        f'<td class="ink" valign="top" style="padding:2px 0;color:#1b1f24">{escape(value)}</td></tr>'
    )


def _go(link: str, label: str) -> str:
    style = "display:inline-block;padding:8px 14px;background:#175cd3;color:#ffffff;text-decoration:none;font-weight:600"
    return f'<a class="go" href="{escape(link)}" style="{style}">{escape(label)}</a>'


def _breaks(value: str) -> str:
    return "<br>".join(escape(line) for line in value.splitlines())
