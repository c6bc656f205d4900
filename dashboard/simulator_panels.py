"""The panels of the Simulator page: counters, scenario cards, the mix of events, what simulated means. Pure."""

from __future__ import annotations

from typing import Any

from dashboard import components, html
from dashboard.components import button, icon
from dashboard.ids import SIMULATOR
from dashboard.view import View
from dashboard.words import number, percent, plural, readable
from dashboard.zones import span

LATE_AFTER_US = 10_000_000
SPEEDS = (1, 5, 15, 60)
_STATES = {"running": "Running", "paused": "Paused", "stopped": "Stopped"}


def state_words(status: dict[str, Any], view: View) -> list[Any]:
    """What it does, in words; where that differs from what was ordered, both."""
    ordered, actual = status["desired"], status["actual"]
    does, wanted = actual.get("state", "stopped"), ordered.get("state", "stopped")
    title = _title_of(status, str(ordered.get("scenario", "")))
    if does != wanted:
        words = f"{_STATES.get(does, does)}, {wanted} was ordered"
    elif does == "running":
        words = f"Running: {title}"
    else:
        words = f"{_STATES.get(does, does)}: {title}" if does == "paused" else "Stopped"
    second = f"{number(ordered.get('rate'))} a second, {number(ordered.get('streams'))} streams, seed {ordered.get('seed')}"
    if float(ordered.get("speed") or 1) != 1:
        second += f", {number(ordered.get('speed'))}× speed"
    return [html.B(words), html.Span(second)]


def _title_of(status: dict[str, Any], name: str) -> str:
    return next((s["title"] for s in status["scenarios"] if s["name"] == name), readable(name))


def late_words(status: dict[str, Any], view: View) -> html.Div | None:
    """A bar when orders are not followed, or when the simulator says something is wrong."""
    ordered, actual = status["desired"], status["actual"]
    said = actual.get("message")
    if said:
        return components.stale("The simulator says", str(said))
    since = ordered.get("ordered_us")
    waits = since is not None and view.now_us - since > LATE_AFTER_US
    if waits and ordered.get("state") != actual.get("state"):
        return components.stale(
            "The order was not carried out yet",
            f"given {span(view.now_us - since)} ago; the engine follows orders while it runs",
        )
    return None


def counters(status: dict[str, Any], view: View) -> html.Dl:
    """What was sent and what became of it, since the simulator started."""
    actual, ordered = status["actual"], status["desired"]
    sent = actual.get("sent") or 0

    def share(name: str) -> str:
        return f"{percent((actual.get(name) or 0) / sent, 2)} of sent" if sent else "nothing sent"

    rate = float(actual.get("events_per_s") or 0)
    wanted = float(ordered.get("rate") or 0) * float(ordered.get("speed") or 1)
    age = actual.get("updated_us")
    when = f"told {span(view.now_us - age)} ago" if age else "not heard from yet"
    return components.strip(
        [
            ("Sent", number(sent), when),
            ("Accepted", number(actual.get("accepted") or 0), share("accepted")),
            ("Duplicates", number(actual.get("duplicates") or 0), share("duplicates")),
            ("Rejected", number(actual.get("rejected") or 0), share("rejected")),
            (
                "Errors",
                number(actual.get("errors") or 0),
                "posts that failed" if actual.get("errors") else "every post answered",
            ),
            (
                "Rate",
                f"{number(rate, 1)} / s",
                f"of {number(wanted)} ordered" if ordered.get("state") == "running" else "nothing ordered",
            ),
        ],
        "Counters of the simulator",
        "six sim-counters",
    )


def cards(status: dict[str, Any], view: View) -> html.Section:
    """The scenario library: what happens, what the product should notice, and a way to start it."""
    ordered, actual = status["desired"], status["actual"]
    running = ordered.get("scenario") if ordered.get("state") in ("running", "paused") else None
    scenarios = status["scenarios"]
    title = (
        f"{_title_of(status, str(running))} is {_word(ordered, actual)}"
        if running
        else "No scenario is running"
    )
    items = [_card(s, s["name"] == running, actual, ordered, view) for s in scenarios]
    return components.panel(
        title,
        html.Ol(items, className="sim-cards"),
        view,
        span="",
        sub=f"{plural(len(scenarios), 'scenario')}, one at a time",
        className="sim-library",
    )


def _card(
    scenario: dict[str, Any], on: bool, actual: dict[str, Any], ordered: dict[str, Any], view: View
) -> html.Li:
    if on:
        word = _word(ordered, actual)
        state: Any = html.Span(
            [icon("play" if word == "running" else "pause", 14), word], className="row-f sim-on"
        )
        act = button(
            "Stop",
            id=SIMULATOR.row("do", "stop:card"),
            disabled=view.forbidden,
            aria=f"Stop: {scenario['title']}",
        )
    else:
        state = html.Span("idle", className="t3")
        act = button(
            "Start",
            id=SIMULATOR.row("do", f"start:{scenario['name']}"),
            disabled=view.forbidden,
            aria=f"Start: {scenario['title']}",
        )
    return html.Li(
        [
            html.H3(scenario["title"]),
            html.P(scenario["story"]),
            html.P([html.Span("Expect ", className="t3"), scenario["expect"]], className="sim-expect"),
            html.Div([state, act], className="sim-foot"),
        ],
        className="on" if on else "",
        key=scenario["name"],
    )


def _word(ordered: dict[str, Any], actual: dict[str, Any]) -> str:
    """Running or paused only when it really is; until then ordered."""
    state = str(ordered.get("state"))
    return state if actual.get("state") == state else "ordered"


def mix(status: dict[str, Any], view: View) -> html.Section:
    """Which kinds of events were sent."""
    by_type: dict[str, int] = status["actual"].get("by_type") or {}
    total = sum(by_type.values())
    if not total:
        body = components.empty(
            "Nothing was sent yet", "Start a scenario; its events are counted here by kind.", sign="simulator"
        )
        return components.panel("No event yet", body, view, span="")
    rows = sorted(by_type.items(), key=lambda item: (-item[1], item[0]))
    most = rows[0][1]
    items = [
        html.Li(
            [
                html.Span(readable(kind), className="el"),
                html.Span(html.I(style={"width": f"{100 * n / most:.0f}%"}), className="sim-bar"),
                html.B(number(n)),
                html.Span(percent(n / total), className="t3 r"),
            ],
            key=kind,
        )
        for kind, n in rows
    ]
    title = f"{readable(rows[0][0])} is the commonest, {percent(most / total)}"
    return components.panel(
        title, html.Ol(items, className="sim-mix io-pad"), view, span="", foot=f"{number(total)} events sent"
    )


def outcome(status: dict[str, Any], view: View) -> html.Section:
    """What is checked of the scenario that runs or ran last, and what of it has come."""
    actual = status["actual"]
    found = actual.get("outcome")
    if not found:
        begun = bool(actual.get("sent"))
        body = components.empty(
            "Too early to say" if begun else "No scenario ran yet",
            "What it should bring is looked for as soon as some forty events of it were sent.",
            sign="simulator",
        )
        return components.panel("What comes of it", body, view, span="")
    findings = found["findings"]
    met = sum(finding["met"] for finding in findings)
    name = _title_of(status, str(actual.get("scenario")))
    title = (
        f"{name}: every check is met"  # not all that its card expects is checked
        if found["passed"]
        else f"{name}: {met} of {plural(len(findings), 'check')} met so far"
    )
    items = [
        html.Li(
            [
                icon("check" if finding["met"] else "timeline", 16),
                html.Span("met: " if finding["met"] else "not met: ", className="io-sr"),
                finding["sentence"],
            ],
            className="on" if finding["met"] else "",
        )
        for finding in findings
    ]
    return components.panel(
        title,
        html.Ol(items, className="sim-outcome io-pad"),
        view,
        span="",
        foot="by the alerts that live now and the counters of this run",
    )


def labels(view: View, simulated: int | None) -> html.Section:
    """What tells simulated data from real data, and the way to be rid of it."""
    points = (
        "Every simulated event has the source “simulator”; its alerts and people carry a demo mark.",
        "Real events may come in beside it; they are never changed or removed from here.",
        "The same seed gives the same people, the same past and the same courses.",
    )
    held = f"{number(simulated)} simulated events are stored" if simulated else "No simulated event is stored"
    clear = button(
        "Clear demo data",
        id=SIMULATOR.part("clear"),
        disabled=view.forbidden or (None if simulated else "There is none"),
        data_sim_clear="1",
    )
    body = [html.Ul([html.Li(text) for text in points], className="sim-labels"), html.Div(clear)]
    return components.panel(
        held, html.Div(body, className="io-pad sim-about"), view, span="", className="sim-dashed"
    )
