"""Limits of a rule tried on the last days, before they are set: the button, how far it is, and what would have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Input, Output, dcc

from backend.domain.errors import IopsError, Rejected
from backend.domain.times import SECOND
from backend.services import backtest_words, limits, trying
from backend.services.backtest import Backtest, why_not
from dashboard import comparisons, components, html, markup
from dashboard.components import wild
from dashboard.context import Context
from dashboard.ids import SETTINGS, SHELL
from dashboard.view import View
from dashboard.words import number, percent
from dashboard.zones import UTC_ZONE, ago

TRY, REFUSED, ORDERED, STATE, FOUND, TICK = (
    SETTINGS.part(f"rules-try{name}") for name in ("", "-refused", "-ordered", "-state", "-found", "-tick")
)
TICK_MS = 1_000
MOST_TICKS = 8
PATIENCE_US = 5 * SECOND  # that an order waits before it is said why


def button() -> Any:
    return components.button(f"Try on the last {trying.DAYS} days", id=TRY)


def parts() -> list[Any]:
    """What stands below the form. While a trial is under way it is looked at every second, also while the page is paused."""
    return [
        html.Div(id=REFUSED, role="status"),
        html.Div(id=STATE, role="status"),
        html.Div(id=FOUND),
        dcc.Store(id=ORDERED),
        dcc.Interval(id=TICK, interval=TICK_MS, disabled=True),
    ]


def register(app: Any, ctx: Context, rule: str, done: str) -> None:
    """`rule` and `done` are the form's: the chosen rule, and the store that says that limits were set.

    Each answer is the whole state: Dash drops an answer that a later question of the same callback overtakes.
    """

    @app.callback(
        Output(STATE, "children"),
        Output(FOUND, "children"),
        Output(TICK, "disabled"),
        Output(TRY, "aria-disabled"),
        Output(TRY, "title"),
        Input(rule, "value"),
        Input(done, "data"),
        Input(ORDERED, "data"),
        Input(TICK, "n_intervals"),
        Input(SHELL.location, "search"),
    )
    def refresh(rule_id: Any, _done: Any, _ordered: Any, _tick: Any, search: str | None) -> Any:
        view = ctx.view(search)
        said, body, under_way = shown(ctx, view, rule_id)
        why = refusal(ctx, view, rule_id)
        return said, markup.drawn(body), not under_way, "true" if why else "false", why or ""


def refusal(ctx: Context, view: View, rule_id: Any) -> str | None:
    """Why the limits of this rule cannot be tried here; None if they can."""
    if view.role != "admin":
        return "Only administrators try limits"
    if ctx.config.runtime != "local":
        return trying.ONE_MACHINE
    if not rule_id:
        return "Choose a rule first"
    try:
        why = why_not(str(rule_id))
    except IopsError as unknown:
        why = str(unknown)
    return view.forbidden or (f"This rule cannot be tried: {why}" if why else None)


def order(
    ctx: Context,
    view: View,
    rule_id: str,
    asked: Mapping[str, tuple[float, float]],
    *,
    enabled: bool,
    quiet_minutes: int,
) -> None:
    """Order a trial. Raises IopsError for who may not, and for what cannot be tried or could not be set."""
    why = refusal(ctx, view, rule_id)
    if why:
        raise Rejected(why)
    trying.ask(
        ctx.reads,
        rule_id,
        asked,
        enabled=enabled,
        by=view.actor,
        now_us=view.now_us,
        quiet_minutes=quiet_minutes,
    )


def shown(ctx: Context, view: View, rule_id: Any) -> tuple[str, list[Any], bool]:
    """How things stand with the newest trial of a rule: in a sentence, what there is to see of it, whether it is under way."""
    if not rule_id or view.role != "admin":
        return "", [], False
    why = refusal(ctx, view, rule_id)
    now = trying.trial(ctx.reads, str(rule_id))
    if why or now.order is None:
        return f"{why}." if why else "", [], False
    fate = now.fate
    if now.under_way:
        share = fate.share if fate is not None else 0.0
        return _under_way(now, view), [_progress(share)], True
    if fate is not None and fate.found is not None:
        in_force = limits.book(ctx.reads)[now.order.rule_id].version
        body = _result(fate.found, now.order, in_force, view)
        return f"{backtest_words.headline(fate.found)}.", body, False
    return f"Nothing came of the last trial: {fate.why if fate else ''}.", [], False


def _under_way(now: trying.Trial, view: View) -> str:
    order = now.order
    if now.state == "waiting" and order is not None and view.now_us - order.asked_us > PATIENCE_US:
        return "Waiting to begin: another trial or events that are not counted yet come first, or the engine does not run."
    days = trying.DAYS if order is None else order.days
    return f"Trying on the last {days} days\u2026"


def _progress(share: float) -> Any:
    bar = html.Progress(
        value=str(round(100 * share)), max="100", **wild({"aria-label": "Share that is done"})
    )
    return html.Div([bar, html.Span(percent(share), className="t2 fs12")], className="set-progress")


def _result(found: Backtest, order: trying.Order, in_force: int, view: View) -> list[Any]:
    names = [name.capitalize() for name in trying.NAMES]
    version = found.outcomes[0].rule.version
    replayed = backtest_words.basis(found, view.zone.moment)
    basis = f"Asked by {order.by} {ago(order.asked_us, view.now_us)}. Replayed: {replayed}. "
    if version == in_force:
        basis += f"In force is version {version}."
    else:
        basis += f"Version {version} is no longer in force, {in_force} is: try again."
    rows: list[list[Any]] = [
        [label[:1].upper() + label[1:], *texts]
        for label, texts in backtest_words.rows(found)
        if label != backtest_words.BY_TRUTH or set(texts) != {backtest_words.UNKNOWN}
    ]
    caption = "The limits in force beside those tried"
    table = html.Div(
        components.plain_table(["Counted", *names], rows, caption),
        className="set-wide set-tried",
        tabIndex="0",
        role="region",
        **wild({"aria-label": caption}),
    )
    return [html.P(basis, className="t2 fs12"), html.Div([table, _days(found, names)], className="set-trial")]


def _days(found: Backtest, names: list[str]) -> Any:
    """Alerts opened by day (UTC) of both."""
    counts = [[n for _, n in one.days] for one in found.outcomes]
    at = [UTC_ZONE.local(us) for us, _ in found.outcomes[0].days]
    days = [f"{day.day} {day:%b}" for day in at]
    says = "Alerts opened a day (UTC): " + "; ".join(
        f"{name.lower()} {', '.join(number(n) for n in each)}"
        for name, each in zip(names, counts, strict=True)
    )
    figure = comparisons.pairs(days, list(zip(names, counts, strict=True)), "tried", unit="alerts")
    every = -(-len(days) // MOST_TICKS)
    texts = [days[0], *(days[i] if at[i].day == 1 else str(at[i].day) for i in range(1, len(days)))]
    figure["layout"]["xaxis"] |= {"tickvals": days[::every], "ticktext": texts[::every], "tickangle": 0}
    key = html.P(
        [
            "Alerts opened a day (UTC): ",
            html.Span(className="set-key was"),
            f"{names[0].lower()}, ",
            html.Span(className="set-key"),
            names[1].lower(),
        ],
        className="t2 fs12",
    )
    return html.Div([key, components.graph(figure, says, 160)])
