"""Simulator: run the demo marketplace. Orders go to the store and the engine follows; this page shows both."""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.errors import IopsError
from backend.services import simulation
from dashboard import components, html, markup
from dashboard import simulator_panels as panels
from dashboard.components import button
from dashboard.context import Context
from dashboard.ids import SHELL, SIMULATOR
from dashboard.pages import page_named
from dashboard.view import View

PAGE = page_named("simulator")
MAX_SLIDER, MAX_RATE, MAX_STREAMS = 100, 500, 500
FIELDS = ("rate", "slider", "streams", "seed")
_P = SIMULATOR.part
_SENDING = ("start", "resume", "step")
_WORDS = {
    "start": "Start ordered",
    "pause": "Pause ordered",
    "resume": "Resume ordered",
    "stop": "Stop ordered",
    "step": "One event ordered",
    "set": "New settings ordered",
    "clear": "Demo data is being removed",
}


def layout() -> html.Div:
    """The control bar stands still; what is counted below is drawn anew with every change."""
    grid = html.Div(
        [
            html.Div(components.loading(1, 560), id=_P("cards")),
            html.Div(
                [
                    html.Div(components.loading(1, 120), id=_P("outcome")),
                    html.Div(components.loading(1, 300), id=_P("mix")),
                    html.Div(id=_P("labels")),
                ],
                className="sim-side",
            ),
        ],
        className="sim-grid",
    )
    stores = [dcc.Store(id=_P("synced")), dcc.Store(id=_P("drawn")), dcc.Store(id=_P("said"))]
    return html.Div(
        [
            html.Div(id=_P("late")),
            _bar(),
            html.Div(components.loading(1, 72), id=SIMULATOR.body),
            grid,
            html.Div(stores, hidden=True),
        ]
    )


def _bar() -> html.Section:
    def order(name: str, label: str, sign: str, kind: Any = "") -> html.Button:
        return button(label, id=SIMULATOR.row("do", name), sign=sign, kind=kind)

    def field(name: str, label: str, low: int, high: int) -> html.Label:
        return html.Label(
            [
                label,
                dcc.Input(
                    id=_P(name),
                    type="number",
                    min=low,
                    max=high,
                    step=1,
                    debounce=True,
                    className="sim-field",
                ),
            ]
        )

    speeds = [
        html.Button(
            f"{n}×",
            id=SIMULATOR.row("do", f"speed:{n}"),
            type="button",
            **components.wild({"aria-pressed": "false"}),
        )
        for n in panels.SPEEDS
    ]
    slider = dcc.Input(id=_P("slider"), type="range", min=0, max=MAX_SLIDER, step=1, debounce=0.4)
    orders = [
        order("start", "Start", "play", "pri"),
        order("pause", "Pause", "pause"),
        order("step", "Step", "step"),
        order("stop", "Stop", "stop"),
    ]
    rate = dcc.Input(id=_P("rate"), type="number", min=0, max=MAX_RATE, debounce=True, className="sim-field")
    speed = html.Span(speeds, className="io-seg", role="group", **components.wild({"aria-label": "Speed"}))
    first = [
        components.tag("Simulated data", "doubt"),
        html.Div(id=_P("state"), className="sim-state", role="status"),
        html.Div(orders, className="sim-orders"),
    ]
    second = [
        html.Label(["Rate", slider], className="sim-slider"),
        html.Label([rate, "events a second"], className="sim-after"),
        html.Div([html.Span("Speed", className="t2"), speed], className="row-f"),
        field("streams", "Streams", 1, MAX_STREAMS),
        field("seed", "Seed", 0, 2**31 - 1),
    ]
    guard = [
        html.Span(id=_P("where")),
        dcc.Input(id=_P("confirm"), type="text", autoComplete="off", maxLength=40, className="sim-field"),
    ]
    rows = [
        html.Div(first, className="sim-row"),
        html.Label(guard, id=_P("guard"), className="sim-row sim-guard", hidden=True),
        html.Div(second, className="sim-row"),
    ]
    return html.Section(rows, className="io-p sim-bar-top", **components.wild({"aria-label": "Run control"}))


def register(app: Any, ctx: Context) -> None:
    names = ["start", "pause", "step", "stop"]
    buttons = [
        Output(SIMULATOR.row("do", name), prop) for name in names for prop in ("aria-disabled", "title")
    ]
    speeds = [Output(SIMULATOR.row("do", f"speed:{n}"), "aria-pressed") for n in panels.SPEEDS]
    fields = [Output(_P(name), "value") for name in FIELDS] + [
        Output(_P(name), "disabled") for name in FIELDS
    ]

    @app.callback(
        Output(SIMULATOR.body, "children"),
        Output(_P("late"), "children"),
        Output(_P("state"), "children"),
        Output(_P("outcome"), "children"),
        Output(_P("mix"), "children"),
        Output(_P("cards"), "children"),
        Output(_P("labels"), "children"),
        Output(_P("drawn"), "data"),
        *buttons,
        *speeds,
        *fields,
        Output(_P("synced"), "data"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
        Input(_P("said"), "data"),
        State(_P("drawn"), "data"),
        State(_P("synced"), "data"),
    )
    def refresh(search: str | None, _live: Any, _said: Any, drawn: Any, synced: Any) -> Any:
        return everything(ctx, ctx.view(search), drawn, synced)

    @app.callback(
        Output(_P("guard"), "hidden"), Output(_P("where"), "children"), Input(SHELL.location, "pathname")
    )
    def guard(_path: str | None) -> Any:
        return ctx.config.runtime == "local", ask_for(ctx)

    @app.callback(
        Output(_P("said"), "data"),
        Input({"type": "simulator-do", "key": ALL}, "n_clicks"),
        *(Input(_P(name), "value") for name in FIELDS),
        State(SHELL.location, "search"),
        State(_P("confirm"), "value"),
        prevent_initial_call=True,
    )
    def obey(
        _clicks: Any, rate: Any, slider: Any, streams: Any, seed: Any, search: str | None, typed: Any
    ) -> Any:
        trigger = asked.triggered[0] if asked.triggered else {}
        if not trigger or trigger.get("value") is None:
            return no_update
        key = asked.triggered_id
        if isinstance(key, dict):
            words = str(key["key"]).split(":")
        else:
            words = ["set", str(key).removeprefix("simulator-"), trigger["value"]]
        return say(*order(ctx, ctx.view(search), words, str(typed or "")))


def everything(ctx: Context, view: View, drawn: Any, synced: Any) -> list[Any]:
    """All outputs of the live callback. Cards and fields change only when orders do: a click must not miss its button."""
    status = simulation.status(ctx.reads)
    ordered = status["desired"]
    fresh = ctx.guarded("Stored events", lambda: ctx.freshness().simulated_events)
    stored = fresh if isinstance(fresh, int) else None
    shape = [
        ordered.get("state"),
        status["actual"].get("state"),
        ordered.get("scenario"),
        view.forbidden,
        view.filters.key,
        bool(stored),
    ]
    settings = [_whole(ordered.get(name)) for name in ("rate", "rate", "streams", "seed")]
    settings[1] = min(MAX_SLIDER, settings[1] or 0)
    same, kept = drawn == shape, synced == settings
    return [
        markup.drawn(panels.counters(status, view)),
        markup.drawn(panels.late_words(status, view)),
        markup.drawn(panels.state_words(status, view)),
        markup.drawn(panels.outcome(status, view)),
        markup.drawn(panels.mix(status, view)),
        no_update if same else markup.drawn(panels.cards(status, view)),
        no_update if same else markup.drawn(panels.labels(view, stored)),
        shape,
        *_buttons(ordered, view),
        *(str(float(ordered.get("speed") or 1) == n).lower() for n in panels.SPEEDS),
        *(no_update if kept else value for value in settings),
        *(bool(view.forbidden) for _ in FIELDS),
        settings,
    ]


def _buttons(ordered: dict[str, Any], view: View) -> list[Any]:
    """aria-disabled and reason of start, pause, step, stop."""
    state = ordered.get("state")
    reasons = {
        "start": "It is running already" if state == "running" else None,
        "pause": None if state == "running" else "It is not running",
        "step": "Pause it first to go step by step" if state == "running" else None,
        "stop": "It is stopped already" if state == "stopped" else None,
    }
    out: list[Any] = []
    for reason in reasons.values():
        why = view.forbidden or reason
        out += ["true" if why else "false", why or ""]
    return out


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def ask_for(ctx: Context) -> list[Any]:
    """What has to be typed before anything is sent to a deployment that others use."""
    return [
        "Events go to ",
        html.B(ctx.config.api_url or "the deployed API"),
        ". To start, type the stage's name, ",
        html.B(ctx.config.stage),
        ":",
    ]


def order(ctx: Context, view: View, words: list[Any], typed: str = "") -> tuple[bool, str]:
    """Carry out "start", "start:call_spike", "speed:5" or ("set", field, value); (done, what to say). Never raises.

    On a deployment nothing is sent unless `typed` is the stage's name.
    What already holds is not ordered again, so that a field that follows an order does not order in turn.
    """
    if view.forbidden:
        return False, view.forbidden
    ordered = simulation.desired(ctx.reads)
    action, settings = _meaning(words, ordered)
    if action is None:
        return False, ""
    if ctx.config.runtime != "local" and action in _SENDING and typed.strip() != ctx.config.stage:
        return False, f"Type the stage's name, {ctx.config.stage}, first: events would go to its public API"
    try:
        simulation.command(ctx.reads, action, ctx.clock(), view.actor, **settings)
    except IopsError as refused:
        return False, str(refused)
    return True, _WORDS[action]


def _meaning(words: list[Any], ordered: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """(action, settings) of a button's or field's words; (None, {}) when nothing would change."""
    name, *rest = words
    state = ordered.get("state")
    if name == "set":
        field, value = ("rate" if rest[0] == "slider" else rest[0]), rest[1]
        if field == "rate" and not value:
            return ("pause", {}) if state == "running" else (None, {})
        held = ordered.get(field)
        if held == value or (rest[0] == "slider" and value == MAX_SLIDER <= (held or 0)):
            return None, {}
        return "set", {field: value}
    if name == "speed":
        speed = float(rest[0])
        return ("set", {"speed": speed}) if ordered.get("speed") != speed else (None, {})
    if name == "start" and rest:
        return "start", {"scenario": rest[0]}
    held = {
        "start": state == "running",
        "pause": state != "running",
        "step": state == "running",
        "stop": state == "stopped",
    }
    if name not in held or held[name]:
        return None, {}
    return ("resume" if name == "start" and state == "paused" else name), {}


def say(done: bool, text: str) -> Any:
    """Toast what became of the order; the returned value makes the page draw anew."""
    if not text:
        return no_update
    dash.set_props(SHELL.toast, {"data": {"text": text, "level": "" if done else "error"}})
    return {"text": text, "done": done, "n": id(text)} if done else no_update
