"""Rules on the Settings page: the limits in force and who set them; for admins a form that sets them."""

from __future__ import annotations

from typing import Any

import dash_bootstrap_components as dbc
from dash import Input, Output, State, dcc, no_update
from dash import ctx as pressed

from backend.domain.errors import IopsError, Rejected
from backend.domain.limits import FIXED, LONGEST_QUIET, meant, said
from backend.domain.rules import RULES, Level, Rule
from backend.services import limits
from dashboard import components, html, rules_trial
from dashboard.alert_drawer import limit, quiet_for
from dashboard.components import wild
from dashboard.context import Context
from dashboard.ids import SETTINGS, SHELL
from dashboard.view import View
from dashboard.words import number, plural, readable

BOX, RULE, ON, QUIET, NOTE, SAVE, SAID, DONE, SEEN = (
    SETTINGS.part(f"rules-{name}")
    for name in ("box", "rule", "on", "quiet", "note", "save", "said", "done", "seen")
)
LEVELS = ("critical", "warning", "info")
FIELDS = [SETTINGS.part(f"rules-{level}-{end}") for level in LEVELS for end in ("opens", "clears")]
WORDS = [SETTINGS.part(f"rules-{level}-{end}-word") for level in LEVELS for end in ("opens", "clears")]
ROWS = [SETTINGS.part(f"rules-{level}") for level in LEVELS]


def panel(rules: list[dict[str, Any]], view: View) -> html.Section:
    """At what each rule raises and ends its alerts, and since when."""
    rows = [_row(rule, view) for rule in rules]
    heads = ["Rule", "About", "Watches", "Info", "Warning", "Critical", "Ends", "Then quiet", "Set"]
    table = components.plain_table(heads, rows, "Rules and their limits")
    off = sum(not rule["enabled"] for rule in rules)
    title = f"{plural(len(rules) - off, 'rule')} raise alerts" + (
        f", {number(off)} turned off" if off else ""
    )
    return components.panel(
        title,
        html.Div(
            table,
            className="set-rules",
            tabIndex="0",
            role="region",
            **wild({"aria-label": "Rules and their limits"}),
        ),
        view,
        span="",
    )


def _row(rule: dict[str, Any], view: View) -> list[Any]:
    by_severity = {level["severity"]: limit(level["opens"], rule["rising"]) for level in rule["levels"]}
    mild, history = rule["levels"][-1], rule["history"]
    name = (
        [readable(rule["rule_id"]), " ", components.tag("off", "doubt")]
        if not rule["enabled"]
        else readable(rule["rule_id"])
    )
    last = history[0] if history else None
    who = (
        html.Span(f"{last['by']}, {view.zone.moment(last['at_us'])}", title=last["note"] or None)
        if last
        else "as it came"
    )
    return [
        name,
        rule["entity_type"],
        rule["measure"],
        *(by_severity.get(level, "–") for level in reversed(LEVELS)),
        limit(mild["clears"], not rule["rising"]),
        quiet_for(rule["quiet_minutes"]),
        who,
    ]


def box() -> html.Section:
    """The form; hidden from everybody but admins, who alone pass the callback."""
    names = [{"label": readable(rule_id), "value": rule_id} for rule_id in RULES if rule_id not in FIXED]
    rows = [
        html.Div(
            [
                html.B(level.capitalize()),
                *(
                    html.Label(
                        [
                            html.Span(id=WORDS[n]),
                            dcc.Input(id=FIELDS[n], type="number", step="any", className="io-input"),
                        ]
                    )
                    for n in (2 * i, 2 * i + 1)
                ),
            ],
            id=ROWS[i],
            className="set-limit",
            hidden=True,
        )
        for i, level in enumerate(LEVELS)
    ]
    states = [
        {"label": "On", "value": "on"},
        {"label": "Off: it raises nothing, and what it raised ends", "value": "off"},
    ]
    form = [
        html.Label(
            ["Rule", dbc.Select(id=RULE, options=names, placeholder="Choose a rule", className="io-input")]
        ),
        *rows,
        html.Label(
            [
                "Quiet after an end, minutes",
                dcc.Input(id=QUIET, type="number", min=0, max=LONGEST_QUIET, step=1, className="io-input"),
            ]
        ),
        html.Label(["State", dbc.Select(id=ON, options=states, value="on", className="io-input")]),
        html.Label(["Why", dcc.Input(id=NOTE, type="text", maxLength=300, className="io-input")]),
        components.button("Set limits", id=SAVE, kind="pri"),
        rules_trial.button(),
    ]
    hint = "Open alerts are judged by the new limits within seconds. A rule ends its alerts on the other side of where it opens, so that a number that hovers raises one alert. In the quiet time after an end no fresh alert opens for the same matter: one that ended by itself goes on, one that somebody ended stays ended unless it gets worse. Trying counts beforehand, from the stored log, what these numbers would have done beside those in force; it sets nothing and tells nobody."
    inside = [
        html.Div(form, className="set-form"),
        html.P(hint, className="t2 fs12"),
        html.Div(id=SAID, role="status"),
        *rules_trial.parts(),
    ]
    return html.Section(
        [
            html.Div(html.H2("Set the limits of a rule"), className="io-ph"),
            html.Div(inside, className="io-pad"),
            dcc.Store(id=DONE),
            dcc.Store(id=SEEN),
        ],
        className="io-p set-channels",
        id=BOX,
        hidden=True,
    )


def register(app: Any, ctx: Context) -> None:
    @app.callback(Output(BOX, "hidden"), Input(SHELL.location, "search"))
    def shown(search: str | None) -> bool:
        return ctx.view(search).role != "admin"

    @app.callback(
        *[Output(row, "hidden") for row in ROWS],
        *[Output(field, "value") for field in FIELDS],
        *[Output(word, "children") for word in WORDS],
        Output(ON, "value"),
        Output(QUIET, "value"),
        Output(SEEN, "data"),
        Input(RULE, "value"),
        Input(DONE, "data"),
        prevent_initial_call=True,
    )
    def choose(rule_id: Any, _done: Any) -> Any:
        return fill(ctx, rule_id)

    @app.callback(
        Output(SAID, "children"),
        Output(DONE, "data"),
        Input(SAVE, "n_clicks"),
        State(RULE, "value"),
        State(ON, "value"),
        State(QUIET, "value"),
        State(NOTE, "value"),
        State(SEEN, "data"),
        *[State(field, "value") for field in FIELDS],
        prevent_initial_call=True,
    )
    def save(clicks: Any, rule_id: Any, on: Any, quiet: Any, note: Any, seen: Any, *values: Any) -> Any:
        if not clicks:
            return no_update, no_update
        view = ctx.view("")
        said, ok = put(ctx, view, rule_id, on, quiet, note, seen, values)
        return said, {"at": view.now_us} if ok else no_update

    rules_trial.register(app, ctx, RULE, DONE)

    @app.callback(
        Output(rules_trial.REFUSED, "children"),
        Output(rules_trial.ORDERED, "data"),
        Input(rules_trial.TRY, "n_clicks"),
        Input(RULE, "value"),
        State(SHELL.location, "search"),
        State(ON, "value"),
        State(QUIET, "value"),
        *[State(field, "value") for field in FIELDS],
        prevent_initial_call=True,
    )
    def try_it(_clicks: Any, rule_id: Any, search: str | None, on: Any, quiet: Any, *values: Any) -> Any:
        if pressed.triggered_id != rules_trial.TRY:
            return None, no_update  # what was refused was about another rule
        view = ctx.view(search)
        if rule_id and rules_trial.refusal(ctx, view, rule_id):
            return None, no_update  # it stands there already
        why = tried(ctx, view, rule_id, on, quiet, values)
        return why and _said(why), {"at": view.now_us}


def fill(ctx: Context, rule_id: Any) -> tuple[Any, ...]:
    """What the form shows of a rule: which rows are hidden, their values and on which side of each the rule acts, on or off,
    the quiet time, the version that is seen. What is hidden stays as it is: an emptied number field makes browsers complain.
    """
    found = limits.book(ctx.reads).get(str(rule_id))
    if found is None:
        return (*[True] * len(ROWS), *[no_update] * len(FIELDS + WORDS), no_update, no_update, None)
    by_severity = {level.severity: level for level in found.levels}
    hidden = [level not in by_severity for level in LEVELS]
    values: list[Any] = []
    words: list[Any] = []
    for severity in LEVELS:
        level = by_severity.get(severity)
        values += [said(v, rising)[0] for v, rising in _ends(found, level)] if level else [no_update] * 2
        words += (
            [
                _side(start, v, rising)
                for start, (v, rising) in zip(("Opens", "Ends"), _ends(found, level), strict=True)
            ]
            if level
            else [no_update] * 2
        )
    return (
        *hidden,
        *values,
        *words,
        "on" if found.enabled else "off",
        found.quiet_minutes,
        found.version,
    )


def _ends(rule: Rule, level: Level) -> list[tuple[float, bool]]:
    """Where a level opens and where it ends, each with whether higher values lie on its side."""
    return [(level.opens, rule.rising), (level.clears, not rule.rising)]


def _side(start: str, value: float, rising: bool) -> str:
    """ "Opens below", "Ends from": in front of the number of `said`."""
    if said(value, rising)[1]:
        return f"{start} {'above' if rising else 'below'}"
    return f"{start} {'from' if rising else 'at or below'}"


def put(
    ctx: Context, view: View, rule_id: Any, on: Any, quiet: Any, note: Any, seen: Any, values: Any
) -> tuple[html.Div, bool]:
    """Sets a rule; (what to say, whether it was done). What the browser sent is not trusted."""
    if view.role != "admin":
        return _said("Only administrators set limits"), False
    if view.forbidden:
        return _said(view.forbidden), False
    try:
        rule, asked, minutes = _asked(ctx, rule_id, quiet, values)
        done = limits.put(
            ctx.reads,
            rule.rule_id,
            asked,
            enabled=on != "off",
            seen=seen if isinstance(seen, int) else None,
            by=view.actor,
            now_us=view.now_us,
            note=str(note or ""),
            quiet_minutes=minutes,
        )
    except IopsError as refused:
        return _said(str(refused)), False
    return _said(f"{readable(rule.rule_id)} is at version {done.version}"), True


def tried(ctx: Context, view: View, rule_id: Any, on: Any, quiet: Any, values: Any) -> str | None:
    """Orders a trial of what the form says, which sets nothing; None, or why it cannot be tried."""
    try:
        rule, asked, minutes = _asked(ctx, rule_id, quiet, values)
        rules_trial.order(ctx, view, rule.rule_id, asked, enabled=on != "off", quiet_minutes=minutes)
    except IopsError as refused:
        return str(refused)
    return None


def _asked(
    ctx: Context, rule_id: Any, quiet: Any, values: Any
) -> tuple[Rule, dict[str, tuple[float, float]], int]:
    """The rule of the form, its limits by severity and its quiet time. Raises Rejected for what are no numbers."""
    rule = limits.book(ctx.reads).get(str(rule_id))
    if rule is None:
        raise Rejected("Choose a rule first")
    asked: dict[str, tuple[float, float]] = {}
    for level in rule.levels:
        i = LEVELS.index(level.severity)
        pair = values[2 * i : 2 * i + 2]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair):
            raise Rejected(f"{level.severity}: give numbers for where it opens and ends")
        opens, clears = (
            meant(float(v), before, side) for v, (before, side) in zip(pair, _ends(rule, level), strict=True)
        )
        asked[level.severity] = (opens, clears)
    if not isinstance(quiet, int) or isinstance(quiet, bool):
        raise Rejected("give the quiet time in whole minutes")
    return rule, asked, quiet


def _said(text: str) -> html.Div:
    return html.Div(text[:1].upper() + text[1:], className="set-secret")
