"""What the page of a student and of a tutor share: next action, alerts, weeks, subjects, timeline, and the missing entity."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote

from backend.domain.rules import RULES
from backend.domain.times import DAY
from backend.services.read_models import AlertRow, EntityDetail, Point, TimelineEntry
from dashboard import components, html
from dashboard.components import icon, query_link, severity, wild
from dashboard.figures_people import weeks
from dashboard.view import View
from dashboard.words import count_title, money, number, percent, plural, readable
from dashboard.zones import ago, span

LIVING = ("open", "acknowledged")
KINDS = {
    "session": "Sessions",
    "call": "Calls",
    "health": "Health",
    "availability": "Availability",
    "alert": "Alerts",
    "action": "Actions",
    "note": "Notes",
}
_SIGNS = {
    "session": "session",
    "call": "calls",
    "health": "status",
    "availability": "cal",
    "alert": "alerts",
    "action": "user",
    "note": "note",
}
_RANK = {"critical": 0, "warning": 1, "info": 2}
FIRST_LINES = 24  # of the timeline; the rest on request
PAST_ALERTS = 5


def not_found(kind: str, entity_id: str, reason: str, view: View) -> html.Section:
    """There is no such entity: what was asked for, and where to go."""
    back = html.A(f"All {kind}s", href=f"/{kind}s", className="io-btn pri")
    why = reason + ". The link may be old, or the demo data was cleared."
    body = components.empty("Not found", why, [back], "search")
    return components.panel(f"There is no {kind} “{entity_id}”", body, view, className="ppl-missing")


def living(alerts: list[AlertRow]) -> list[AlertRow]:
    """Open and acknowledged alerts, most severe first, open before acknowledged."""
    rows = [alert for alert in alerts if alert.status in LIVING]
    return sorted(rows, key=lambda a: (a.status != "open", _RANK.get(a.severity, 3), a.opened_us))


def next_action(alerts: list[AlertRow], why: str, view: View) -> html.Section | None:
    """What to do first: the most severe unowned alert with its runbook; None when nothing waits."""
    waiting = living(alerts)
    if not waiting:
        return None
    first = waiting[0]
    rule = RULES.get(first.rule_id)
    action = "unack" if first.status == "acknowledged" else "ack"
    label = "Un-ack" if action == "unack" else "Acknowledge"
    words = [
        html.H2(rule.runbook if rule and rule.runbook else first.title),
        html.P([html.Span(f"{first.title}: {first.message}. "), html.Span(why)]),
    ]
    buttons = [
        components.owner(first.owner, first, view),
        html.A("Open alert", href=f"/alerts?open={quote(first.alert_id)}", className="io-btn"),
        components.command_button(
            label,
            first,
            action,
            view,
            kind="pri" if action == "ack" else "",
            name=first.title,
        ),
    ]
    parts = [
        severity(first.severity),
        html.Div(words, className="grow"),
        html.Span(buttons, className="row-f act"),
    ]
    return html.Section(
        parts,
        className=f"io-p ppl-next {first.severity}",
        **wild({"data-row": first.alert_id, "aria-label": "Next action"}),
    )


def alerts_panel(detail: EntityDetail, view: View) -> html.Section:
    """Open alerts with their buttons, then how the last ones ended."""
    tab = "living" if living(detail.alerts) else "resolved"
    return alerts_of(detail.alerts, f"/alerts?q={quote(detail.entity_id)}&tab={tab}", view)


def alerts_of(alerts: list[AlertRow], everything: str, view: View, total: int | None = None) -> html.Section:
    """The same for any alerts; `everything` is the address of their full list, `total` how many wait in it."""
    waiting = living(alerts)
    ended = sorted(
        (a for a in alerts if a.status not in LIVING), key=lambda a: -(a.resolved_us or a.last_seen_us)
    )
    count = len(waiting) if total is None else total
    title = count_title(count, "alert", "need a person" if count != 1 else "needs a person", "No open alert")
    if not alerts:
        body: Any = components.empty(
            "Nothing ever fired here",
            "Rules look at every new event and at every passing hour.",
            sign="check",
        )
        return components.panel(title, body, view, span="now")
    rows = [_alert_line(a, view) for a in [*waiting, *ended[:PAST_ALERTS]]]
    shown = len(rows) if total is None else total
    more = html.A(f"All {number(shown)} alerts" if shown > len(rows) else "All alerts", href=everything)
    return components.panel(title, html.Ul(rows, className="ppl-alerts"), view, span="now", foot=more)


def _alert_line(alert: AlertRow, view: View) -> html.Li:
    href = f"/alerts?open={quote(alert.alert_id)}"
    if alert.status in LIVING:
        action, label = ("unack", "Un-ack") if alert.status == "acknowledged" else ("ack", "Ack")
        end: Any = components.command_button(label, alert, action, view, name=alert.title)
        mark = severity(alert.severity)
    else:
        end = html.Span(ago(alert.resolved_us or alert.last_seen_us, view.now_us), className="t3 fs12")
        mark = severity("ok", alert.status.capitalize())
    why = alert.message if alert.status in LIVING else (alert.cause or alert.last_note or alert.message)
    state = (
        components.state(alert.status, alert.occurrences, alert.opened_us, view.now_us)
        if alert.status in LIVING
        else None
    )
    words = html.A(
        [html.Span(alert.title, className="fw5"), html.Span(why, className="t2 fs12")],
        href=href,
        className="body",
    )
    return html.Li(
        [mark, words, state or html.Span(), html.Span(end, className="act")],
        key=alert.alert_id,
        **wild({"data-row": alert.alert_id}),
    )


def weeks_panel(detail: EntityDetail, view: View) -> html.Section:
    """Sessions, calls and ratings of 12 weeks in lanes; the title compares the last 4 weeks with the 4 before."""
    series = [
        ("Sessions a week", detail.sessions, True),
        ("Calls a week", detail.calls, True),
        ("Mean rating of 5", detail.ratings, False),
    ]
    says = f"{pace(detail.sessions, detail.first_event_us)}. " + "; ".join(
        f"{name}: {', '.join(number(p.value, None if c else 1) for p in points)}"
        for name, points, c in series
    )
    figure = weeks(series, view.zone, view.filters.key, since_us=detail.first_event_us)
    rows = [
        [
            f"{view.zone.local(s.at_us).day} {view.zone.local(s.at_us):%b}",
            number(s.value),
            number(c.value),
            number(r.value, 1),
        ]
        for s, c, r in zip(detail.sessions, detail.calls, detail.ratings, strict=True)
    ]
    chart = components.chart_or_table(
        components.graph(figure, says, 240),
        ["Week from", "Sessions", "Calls", "Rating"],
        rows,
        caption="Weeks before today",
    )
    return components.panel(
        pace(detail.sessions, detail.first_event_us),
        html.Div([against_usual(detail.metrics), chart], className="io-pad"),
        view,
        span=f"last {len(detail.sessions)} weeks",
    )


def against_usual(metrics: dict[str, Any]) -> html.P | None:
    """What is out of the ordinary for this one, else what is usual; None while there are too few weeks to say."""
    if told := metrics.get("unusual"):
        return html.P([severity("warning", "Unusual"), " ", ". ".join(told) + "."])
    bands = [
        f"{low} to {high} {name}" if low < high else f"{high} {name}"
        for name in ("sessions", "calls")
        if (band := metrics.get(f"usual_{name}_week")) is not None
        for low, high in (band,)
    ]
    return html.P(f"Usual for a week: {', '.join(bands)}.", className="t2") if bands else None


def pace(points: list[Point], first_us: int | None) -> str:
    """Sessions of the last 4 weeks against the 4 before, in words; without a full 8 weeks only the last 4."""
    last, before = (sum(p.value or 0 for p in part) for part in (points[-4:], points[-8:-4]))
    held = f"{plural(int(last), 'session')} in 4 weeks"
    if len(points) < 8 or first_us is None or first_us > points[-8].at_us or not before:
        return held
    change = (last - before) / before
    if abs(change) < 0.1:
        return f"{held}, as in the 4 before"
    return f"{held}, {percent(abs(change))} {'more' if change > 0 else 'fewer'} than in the 4 before"


def timeline_panel(detail: EntityDetail, view: View) -> html.Section:
    """What happened, newest first, under day heads; kinds are a filter kept in the address."""
    chosen = view.filters.get("type") if view.filters.get("type") in KINDS else ""
    shown = [entry for entry in without_starts(detail.timeline) if not chosen or entry.kind == chosen]
    lines = shown if view.filters.get("page") == "all" else shown[:FIRST_LINES]
    there = {entry.kind for entry in detail.timeline}
    links = [_kind_link("", "All kinds", not chosen)] + [
        _kind_link(k, text, k == chosen) for k, text in KINDS.items() if k in there
    ]
    menu = html.Details(
        [
            html.Summary([KINDS.get(chosen, "All kinds"), icon("down", 12)], className="io-btn quiet"),
            html.Div(links, className="io-pop right"),
        ],
        className="io-menu",
    )
    if chosen and detail.timeline and not lines:
        body: Any = components.empty(
            "Nothing of this kind yet",
            f"{plural(len(detail.timeline), 'other thing')} can be seen here.",
            [query_link("All kinds", className="io-btn", type=None, page=None)],
            "timeline",
        )
    elif not lines:
        body = components.empty(
            "Nothing happened yet",
            "Sessions, calls, scores, alerts and what people did stand here.",
            sign="timeline",
        )
    else:
        body = html.Ol(
            _days(lines, detail.name, view),
            className="io-tl ppl-tl",
            tabIndex=0,
            **wild({"aria-label": "Timeline"}),
        )
    rest = len(shown) - len(lines)
    older = (
        query_link(f"{number(rest)} older", page="all") if rest else html.Span("The last 100 things at most")
    )
    return components.panel("Timeline", body, view, end=menu, foot=older, className="ppl-timeline")


def _kind_link(kind: str, text: str, on: bool) -> html.A:
    state = wild({"aria-current": "true"} if on else {})
    return html.A(text, href=f"?type={kind}&page=", className="io-choice" + (" fw6" if on else ""), **state)


def _days(lines: list[TimelineEntry], name: str, view: View) -> list[html.Li]:
    items: list[html.Li] = []
    today = view.zone.midnight(view.now_us)
    for day, entries in itertools.groupby(lines, key=lambda entry: view.zone.midnight(entry.at_us)):
        items.append(html.Li("Today" if day == today else view.zone.day(day), className="day"))
        items += [_line(entry, name, view) for entry in entries]
    return items


def without_starts(lines: list[TimelineEntry]) -> list[TimelineEntry]:
    """The lines, newest first, without starts of sessions whose end stands right above: the end says it all."""
    kept: list[TimelineEntry] = []
    for entry in lines:
        held = entry.title.removesuffix("started")
        newer = next((line for line in reversed(kept) if line.kind == "session"), None)
        if (
            held == entry.title
            or newer is None
            or newer.title == entry.title
            or not newer.title.startswith(held)
        ):
            kept.append(entry)
    return kept


def _line(entry: TimelineEntry, name: str, view: View) -> html.Li:
    # The page's own name is left out of what was done with whom.
    words = entry.detail.replace(f"{name} with ", "with ").replace(f" with {name}", "")
    when = html.Time(view.zone.clock(entry.at_us), title=view.zone.full(entry.at_us))
    text = html.Span([html.B(entry.title), html.Span(words, className="t2") if words else None])
    return html.Li([when, icon(_SIGNS.get(entry.kind, "note")), text])


def subjects_panel(detail: EntityDetail, view: View, *, with_tutor: bool) -> html.Section:
    """Sessions of 30 days by subject, for a student with the tutor of the newest one."""
    rows = detail.by_subject
    total = sum(row["sessions_30d"] for row in rows)
    if not rows:
        body: Any = components.empty(
            "No session yet", "Subjects come with completed sessions.", sign="session"
        )
        return components.panel("No subject yet", body, view, span="last 30 d")
    first = rows[0]
    title = (
        f"{readable(first['subject'])} takes {number(first['sessions_30d'])} of {plural(total, 'session')}"
        if total
        else "No session in 30 days"
    )
    head = ["Subject", "Sessions", "Share"] + (["Tutor"] if with_tutor else [])
    lines = [_subject(row, total, with_tutor) for row in rows]
    return components.panel(
        title,
        components.plain_table(head, lines, "Sessions by subject"),
        view,
        span="last 30 d",
        className="ppl-subjects",
    )


def _subject(row: dict[str, Any], total: int, with_tutor: bool) -> list[Any]:
    share = row["sessions_30d"] / total if total else None
    cells = [
        html.A(readable(row["subject"]), href=f"?subject={quote(row['subject'])}"),
        number(row["sessions_30d"]),
        percent(share),
    ]
    if with_tutor:
        tutor = row.get("tutor_id")
        cells.append(
            html.A(row.get("tutor_name") or tutor, href=f"/tutors/{quote(tutor, safe='')}") if tutor else "–"
        )
    return cells


def since(us: int | None, view: View) -> str:
    """Age in words, "never" for none."""
    return "never" if us is None else f"{span(view.now_us - us)} ago"


def contacts(detail: EntityDetail) -> html.P | None:
    """When the last login, payment and message were, and what a tutor's answers and payments say; None without any."""
    metrics = detail.metrics
    told = [
        f"last {name} {span(round(days * DAY))} ago"
        for name in ("login", "payment", "message", "booking")
        if (days := metrics.get(f"days_since_last_{name}")) is not None
    ]
    if (hours := metrics.get("answer_hours_30d")) is not None:
        told.append(
            f"answers within {number(hours, 1)} h (median of {number(metrics['answers_30d'])} in 30 d)"
        )
    if (earned := metrics.get("earnings_30d")) is not None:
        told.append(f"{money(earned)} earned in 30 d")
    if not told:
        return None
    words = " \u00b7 ".join(told)
    return html.P(words[:1].upper() + words[1:], className="t2 ppl-contacts")


def simulated(detail: EntityDetail) -> bool:
    """Whether the entity comes from the simulator, as its events and alerts say."""
    return any(entry.simulated for entry in detail.timeline) or any(
        alert.simulated for alert in detail.alerts
    )


def urgent(metrics: dict[str, Any]) -> str:
    """Urgent calls of 30 days, to stand behind another fact; nothing when there is none."""
    calls = metrics.get("urgent_calls_30d") or 0
    return f", {plural(calls, 'urgent call')}" if calls else ""
