"""One insight to read: the claim, how sure it is, the words with their citations, what speaks against, where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import dash
from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.errors import IopsError
from backend.domain.insights import CONFIDENCES, Evidence, Insight
from backend.domain.times import DAY
from backend.services import insights
from backend.services.read_models import AlertRow, TutorRow
from dashboard import components, html, taking_up
from dashboard.components import button
from dashboard.context import Context
from dashboard.filters import link
from dashboard.ids import SHELL
from dashboard.view import View
from dashboard.words import plural

VERDICT, REASON, ASK = "insight-verdict", "insight-reason", "insight-ask"
_CITATION = re.compile(r"(\s?\[\d{1,2}\])")
SOURCES = {"rules": "Rules", "anthropic": "Claude", "bedrock": "Claude on Bedrock", "openai": "Second model"}
_SURE = {"confirmed": "Confirmed", "likely": "Likely", "undetermined": "Not enough evidence"}
_BECAUSE = {
    "off": "no language model is set up",
    "withheld": "a model's text did not match the data and was withheld",
    "not explained yet": "not explained yet",
    "asked": "somebody asked",
}


def register(app: Any, ctx: Context) -> None:
    """The verdict buttons of every card. What was kept is said in a toast; the card then shows it."""

    @app.callback(
        Output(SHELL.sink, "data-insight"),
        Input({"type": VERDICT, "insight": ALL, "verdict": ALL}, "n_clicks"),
        State({"type": REASON, "insight": ALL}, "value"),
        State({"type": REASON, "insight": ALL}, "id"),
        State(SHELL.location, "search"),
        prevent_initial_call=True,
    )
    def judge(_clicks: Any, reasons: list[Any], ids: list[Any], search: str | None) -> Any:
        trigger = asked.triggered[0] if asked.triggered else {}
        if not trigger or not trigger.get("value") or not isinstance(asked.triggered_id, dict):
            return no_update  # a card was drawn, nobody clicked
        insight_id, verdict = asked.triggered_id["insight"], asked.triggered_id["verdict"]
        typed = {field["insight"]: value for field, value in zip(ids, reasons, strict=True)}
        done, text = judged(ctx, ctx.view(search), insight_id, verdict, typed.get(insight_id))
        dash.set_props(SHELL.toast, {"data": {"text": text, "level": "" if done else "error"}})
        return no_update

    @app.callback(
        Output(SHELL.sink, "data-asked"),
        Input({"type": ASK, "kind": ALL, "entity": ALL}, "n_clicks"),
        State(SHELL.location, "search"),
        prevent_initial_call=True,
    )
    def explain(_clicks: Any, search: str | None) -> Any:
        trigger = asked.triggered[0] if asked.triggered else {}
        if not trigger or not trigger.get("value") or not isinstance(asked.triggered_id, dict):
            return no_update
        view, who = ctx.view(search), asked.triggered_id
        done, text = explained(ctx, view, who["kind"], who["entity"])
        dash.set_props(SHELL.toast, {"data": {"text": text, "level": "" if done else "error"}})
        return no_update


def explained(ctx: Context, view: View, kind: str, entity_id: str) -> tuple[bool, str]:
    """Ask for an explanation of somebody now; whether that worked, and what to say about it."""
    if view.forbidden:
        return False, view.forbidden
    try:
        insights.ask(ctx.reads, kind, entity_id, view.now_us)
    except IopsError as error:
        return False, str(error)
    return True, "Explained as things stand"


def ask_panel(kind: str, entity_id: str, view: View) -> html.Section | None:
    """The offer to explain somebody of whom no insight is kept; nothing in a view of the past."""
    if view.scope.time_travel:
        return None
    own_id = {"type": ASK, "kind": kind, "entity": entity_id}
    act = button("Explain now", id=None if view.forbidden else own_id, disabled=view.forbidden)
    line = html.P("No alert lives, so nothing was explained yet.", className="t2")
    return html.Section([line, act], className="ins-ask")


def judged(ctx: Context, view: View, insight_id: str, verdict: str, reason: str | None) -> tuple[bool, str]:
    """Keep a verdict; whether that worked, and what to say about it."""
    if view.forbidden:
        return False, view.forbidden
    said = {"verdict": verdict, "reason": reason, "outcome": None}
    try:
        insights.feedback(ctx.reads, insight_id, actor=view.actor, now_us=view.now_us, **said)
    except IopsError as error:
        return False, str(error)
    return True, f"Insight {verdict}"


def of_alert(ctx: Context, view: View, alert_id: str) -> Insight | None:
    """The insight of an alert; None where the view is of a time before it."""
    return _by_then(insights.of_alert(ctx.reads, alert_id), view)


def of_entity(reads: Any, view: View, entity_type: str, entity_id: str) -> Insight | None:
    return _by_then(insights.of_entity(reads, entity_type, entity_id), view)


def _by_then(insight: Insight | None, view: View) -> Insight | None:
    late = insight is not None and view.scope.time_travel and insight.created_us > view.scope.at_us
    return None if late else insight


def section(
    insight: Insight, view: View, alert: AlertRow | None = None, tutors: Sequence[TutorRow] = ()
) -> html.Section:
    """As a part of the drawer of its alert; `tutors` are those who could be asked to help."""
    return components.section(insight.claim, body(insight, view, alert, tutors), _SURE[insight.confidence])


def panel(insight: Insight, view: View, alert: AlertRow | None = None) -> html.Section:
    """As a panel of its own, with the claim as its title. `alert` is the insight's, where it has a living one."""
    doubt = insight.confidence == CONFIDENCES[0]
    mark = components.tag(_SURE[insight.confidence], "doubt" if doubt else "line")
    about: dict[str, Any] = (
        {"data-alert": alert.alert_id, "data-seen": json.dumps(alert.seen)} if alert is not None else {}
    )
    inner = html.Div(body(insight, view, alert), className="io-pad", **components.wild(about))
    return components.panel(insight.claim, inner, view, end=mark, className="ins-panel")


def body(
    insight: Insight, view: View, alert: AlertRow | None = None, tutors: Sequence[TutorRow] = ()
) -> html.Div:
    """Everything below the claim. All text stands as text: nothing in it is taken for markup.

    What somebody dismissed stays folded until its evidence changes.
    """
    parts = [
        html.P(words(insight, view), className="ins-text"),
        _evidence("For", insight, "for", view),
        _evidence("Against", insight, "against", view),
        _line("What would settle it", insight.settles),
        _line("What to do", taking_up.actions(insight, view, alert, tutors)),
    ]
    said: list[Any] = [part for part in parts if part is not None]
    if (insight.feedback or {}).get("verdict") == "dismissed":
        said = [
            html.Details([html.Summary("Dismissed: show it anyway"), *said], className="ins-from ins-folded")
        ]
    return html.Div([*said, verdict(insight, view), provenance(insight, view)], className="ins")


def words(insight: Insight, view: View) -> list[Any]:
    """The text with its citations as small numbers: each says its evidence when pointed at, and leads to it."""
    known = {item.number: item for item in insight.evidence}
    parts: list[Any] = []
    for piece in _CITATION.split(insight.text):
        number = piece.strip(" []")
        if _CITATION.fullmatch(piece) and int(number) in known:
            item = known[int(number)]
            parts.append(html.Sup(html.A(number, href=place(insight, item, view), title=item.text)))
        elif piece:
            parts.append(piece)
    return parts


def _evidence(label: str, insight: Insight, side: str, view: View) -> html.Div | None:
    found = [item for item in insight.evidence if item.side == side]
    if not found:
        return None if side == "for" else _line(label, "nothing that was measured")
    return _line(label, html.Ul([html.Li(_cited(item, insight, view)) for item in found]))


def _cited(item: Evidence, insight: Insight, view: View) -> list[Any]:
    return [html.Span(f"{item.number} ", className="t3"), html.A(item.text, href=place(insight, item, view))]


# What a fact of a student or tutor rests on: the types of its events, and the range of the address that holds its window.
_SESSIONS, _CALLS, _HOURS = (
    "session_started,session_completed",
    "ib_call_logged",
    "tutor_availability_updated",
)
_RESTS_ON = {
    "ib_calls_14d": (_CALLS, "14d"),
    "unresolved_14d": (_CALLS, "14d"),
    "sessions_7d": (_SESSIONS, "7d"),
    "sessions_30d": (_SESSIONS, "30d"),
    "pace_28d": (_SESSIONS, "30d"),
    "days_since_session": (_SESSIONS, "90d"),
    "avg_rating": (_SESSIONS, "30d"),
    "ratings_30d": (_SESSIONS, "30d"),
    "missed_30d": (_SESSIONS, "30d"),
    "utilisation": (_HOURS, "7d"),
    "offered_hours": (_HOURS, "7d"),
    "booked_hours": (_HOURS, "7d"),
}


def place(insight: Insight, item: Evidence, view: View) -> str:
    """Where one fact can be seen: the events it counts, a cell's reports, or the page of the one it is about."""
    none = dict.fromkeys(("student", "tutor", "subject", "region"))
    if insight.entity_type == "cell":
        return link("/supply", view.filters, **{**none, "subject": insight.subject, "region": insight.region})
    types, window = _RESTS_ON.get(item.fact, ("", ""))
    if not types:
        return link(f"/{insight.entity_type}s/{quote(insight.entity_id, safe='')}", view.filters, **none)
    own = {**none, insight.entity_type: insight.entity_id, "range": window, "from_us": None, "to_us": None}
    address = link("/events", view.filters, **own)
    return f"{address}{'&' if '?' in address else '?'}type={types}"


def _line(label: str, content: Any) -> html.Div:
    return html.Div([html.B(label), html.Div(content)], className="ins-line")


def verdict(insight: Insight, view: View) -> html.Div:
    """Accept, or dismiss with a reason; what somebody said already."""
    said = (insight.feedback or {}).get("verdict")
    known = ""
    if said and insight.feedback:
        reason = insight.feedback.get("reason")
        known = f"{insight.feedback['actor']} {said} it" + (f": {reason}" if reason else "")

    def choice(label: str, name: str) -> html.Button:
        own_id = {"type": VERDICT, "insight": insight.insight_id, "verdict": name}
        return button(label, id=None if view.forbidden else own_id, disabled=view.forbidden)

    reason_id = {"type": REASON, "insight": insight.insight_id}
    field = dcc.Textarea(
        id=reason_id,
        rows=1,
        maxLength=insights.MAX_REASON,
        className="io-input al-field",
        placeholder="Why, if it is wrong",
        disabled=bool(view.forbidden),
    )
    label = html.Label([html.Span("Why, if it is wrong", className="io-sr"), field], className="ins-why")
    said_before = html.Span(known, className="t2")
    return html.Div(
        [choice("Right", "accepted"), choice("Wrong", "dismissed"), label, said_before],
        className="ins-verdict",
    )


def provenance(insight: Insight, view: View) -> html.Details:
    """Who wrote it, from which data of when, and what left this installation for it."""
    who = SOURCES.get(insight.source, insight.source)
    model = f"{who}, {insight.model}" if insight.model else who
    until = view.zone.moment(insight.created_us + DAY)
    label = f"{model}, version {insight.prompt_version}, data of {view.zone.moment(insight.created_us)}, good until {until}"
    checked = f"{plural(insight.checked, 'number')} checked against the data"
    because = _BECAUSE.get(insight.reason or "", insight.reason or "") if insight.source == "rules" else ""
    sent = (
        [html.P("What was sent:"), html.Pre(insight.sent)]
        if insight.sent
        else [html.P("Nothing was sent anywhere.")]
    )
    lines = [html.P(checked), html.P(f"By rules: {because}") if because else None, *sent]
    return html.Details(
        [html.Summary(label), *[line for line in lines if line is not None]], className="ins-from"
    )
