"""What an insight recommends, each with a form to take it up: a draft to edit and who does it; the alert keeps both. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.domain import drafts
from backend.domain.alerts import LIVING
from backend.domain.insights import Insight
from backend.services.queries_tutors import free_hours
from backend.services.read_models import AlertRow, TutorRow
from dashboard import components, html
from dashboard.components import button
from dashboard.view import View
from dashboard.words import number

_DOES = {drafts.CALL: "Draft call notes", drafts.INVITE: "Draft an invitation", drafts.TASK: "Take on"}


def actions(insight: Insight, view: View, alert: AlertRow | None, tutors: Sequence[TutorRow] = ()) -> html.Ul:
    """The actions as a list. Only on a living alert can one be taken up, as there it finds its owner and its record."""
    alive = alert is not None and alert.status in LIVING and not view.scope.time_travel
    lines = [candidate(row) for row in tutors]
    return html.Ul(
        [
            html.Li(
                [html.Span(text), _form(text, insight, view, alert, lines) if alive and alert else None],
                key=text,
            )
            for text in insight.actions
        ]
    )


def candidate(row: TutorRow) -> str:
    """One line about a tutor who could be asked."""
    rated = f", rated {number(row.avg_rating, 1)} of 5" if row.avg_rating is not None else ""
    return f"{row.name}: {number(free_hours(row), 1)} h free this week{rated}"


def _form(action: str, insight: Insight, view: View, alert: AlertRow, tutors: Sequence[str]) -> Any:
    """Opens in place; 61-alerts.js fills in the draft and sends what stands there once it is confirmed."""
    label = _DOES[drafts.kind_of(action)]
    if view.forbidden:
        return button(label, kind="quiet", disabled=view.forbidden)
    words = html.Textarea(
        rows=6,
        className="io-input al-field",
        maxLength="2000",
        **components.wild(
            {
                "aria-label": f"Words: {action}",
                "data-field": "note",
                "data-draft": drafts.draft(action, insight, tutors),
            }
        ),
    )
    who = html.Textarea(
        rows=1,
        className="io-input al-field",
        maxLength="120",
        placeholder=alert.owner or view.actor,
        **components.wild(
            {
                "aria-label": f"Who does it: {action}",
                "data-field": "owner",
                "data-default": alert.owner or view.actor,
            }
        ),
    )
    form = html.Div(
        [
            words,
            html.Div(
                [
                    html.Span("Who", className="t3"),
                    who,
                    button("Take on", kind="pri", aria=f"Take on: {action}", data_alert_form="assign"),
                ],
                className="ins-who",
            ),
            html.P(
                "The alert is assigned and keeps these words as a note. Nothing is sent to anybody else.",
                className="t3",
            ),
        ],
        className="ins-form",
    )
    summary = html.Summary(label, **components.wild({"aria-label": f"{label}: {action}"}))
    return html.Details([summary, form], className="ins-take")
