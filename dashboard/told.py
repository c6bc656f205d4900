"""In an alert's drawer: who was told of it, when, who was not and why, and who is told next. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from backend.services.channels import Telling
from backend.services.notifying import Delivery
from dashboard import html
from dashboard.channels_panel import state_words
from dashboard.components import Children, section
from dashboard.view import View
from dashboard.words import plural
from dashboard.zones import span


def of_alert(telling: Telling | None, alert_id: str, view: View) -> html.Section | None:
    """Nothing where people are told elsewhere, or where there is no channel and never was a message."""
    if telling is None:
        return None
    found = telling.outbox.told(alert_id)
    coming = telling.outbox.next_step(alert_id, view.now_us) if view.filters.at_us is None else None
    if not found and coming is None:
        return None
    return told(found, coming, view)


def told(found: Sequence[Delivery], coming: tuple[str, int] | None, view: View) -> html.Section:
    """Messages newest first; what comes next stands before them."""
    items = []
    if coming is not None:
        name, at_us = coming
        left = span(at_us - view.now_us) if at_us > view.now_us else "any moment"
        text = (
            f" is told unless somebody acknowledges it (in {left})" if at_us > view.now_us else " is told now"
        )
        items.append(
            html.Li([html.Time(view.zone.moment(at_us)), html.Span([html.B(name), text])], key="next")
        )
    for one in found:
        reason = f": {one.reason}" if one.reason else ""
        words: list[Children] = [html.B(one.channel), f" {state_words(one, view)}{reason}"]
        items.append(
            html.Li([html.Time(view.zone.moment(one.created_us)), html.Span(words)], key=one.delivery_id)
        )
    sent = sum(one.state == "sent" for one in found)
    return section("Who was told", html.Ul(items, className="al-log"), f"{plural(sent, 'message')} sent")
