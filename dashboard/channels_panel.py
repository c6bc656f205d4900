"""Channels on the Settings page, for admins: add, test, remove; how messages fared, and failed ones to send again."""

from __future__ import annotations

import secrets
from typing import Any

import dash_bootstrap_components as dbc
from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.channels import Channel, quiet_of, quiet_text
from backend.domain.errors import IopsError
from backend.domain.times import WEEK
from backend.services import channels as service
from backend.services.channels import Tally, Telling
from backend.services.notifying import FAILED, Delivery
from dashboard import components, html, markup
from dashboard.components import wild
from dashboard.context import Context
from dashboard.ids import SETTINGS, SHELL
from dashboard.view import View
from dashboard.words import number, plural

BOX, LIST, SAID, DONE = (SETTINGS.part(f"channels-{name}") for name in ("box", "list", "said", "done"))
NAME, URL, LEVELS, QUIET, STEP, SUMMARY, ADD = (
    SETTINGS.part(f"channel-{name}") for name in ("name", "url", "levels", "quiet", "step", "summary", "add")
)
ELSEWHERE = "On AWS people are told through SNS topics; subscribe to them there (docs/aws.md)."
NOBODY = (
    "Nobody is told yet: alerts are seen only by who looks at this dashboard. Add where messages should go."
)
_LEVELS = {
    "critical": "Critical only",
    "critical warning": "Critical and warning",
    "critical warning info": "All",
}
_STEPS = {"0": "At once", "1": "When nobody acknowledges", "2": "After that, as the second"}
_SUMMARIES = {"none": "None", "daily": "Daily", "weekly": "Weekly", "daily weekly": "Daily and weekly"}
RECENT = 12


def box() -> html.Section:
    """The part for admins; stays hidden for everybody else, who is refused by the callbacks too."""
    fields = [
        _field(
            "Name", dcc.Input(id=NAME, type="text", maxLength=60, placeholder="team", className="io-input")
        ),
        _field(
            "Address",
            dcc.Input(
                id=URL,
                type="password",
                maxLength=2_000,
                autoComplete="off",
                className="io-input",
                placeholder="mailtos://user:password@example.com",
            ),
        ),
        _field("Which alerts", _select(LEVELS, _LEVELS, "critical warning")),
        _field("When", _select(STEP, _STEPS, "0")),
        _field(
            "Quiet hours",
            dcc.Input(id=QUIET, type="text", maxLength=11, placeholder="22:00-07:00", className="io-input"),
        ),
        _field("Summary", _select(SUMMARY, _SUMMARIES, "none")),
        components.button("Add channel", id=ADD, kind="pri"),
    ]
    hint = html.P(
        "Addresses are written as Apprise writes them: mail, Slack, Teams, Telegram, text messages, webhooks (jsons://). They are secrets and never shown "
        "again. Quiet hours and summaries (at 8:00) go by the time zone of this page; critical alerts are sent in quiet hours too.",
        className="t2 fs12",
    )
    inside = [
        html.Div(id=LIST),
        html.Div(fields, className="set-form"),
        hint,
        html.Div(id=SAID, role="status"),
    ]
    return html.Section(
        [
            html.Div(html.H2("Being told"), className="io-ph"),
            html.Div(inside, className="io-pad"),
            dcc.Store(id=DONE),
        ],
        className="io-p set-channels",
        id=BOX,
        hidden=True,
    )


def _field(label: str, control: Any) -> html.Label:
    return html.Label([label, control])


def _select(id: str, choices: dict[str, str], value: str) -> dbc.Select:
    options = [{"label": label, "value": key} for key, label in choices.items()]
    return dbc.Select(id=id, options=options, value=value, className="io-input")


def register(app: Any, ctx: Context) -> None:
    @app.callback(
        Output(LIST, "children"),
        Output(BOX, "hidden"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
        Input(DONE, "data"),
    )
    def refresh(search: str | None, _live: Any, _done: Any) -> Any:
        view = ctx.view(search)
        if view.role != "admin":
            return None, True
        return markup.drawn(ctx.guarded("The channels", lambda: listing(ctx, view))), False

    @app.callback(
        Output(SAID, "children"),
        Output(DONE, "data"),
        Output(NAME, "value"),
        Output(URL, "value"),
        Input(ADD, "n_clicks"),
        Input({"type": SETTINGS.part("channel-test"), "key": ALL}, "n_clicks"),
        Input({"type": SETTINGS.part("channel-remove"), "key": ALL}, "n_clicks"),
        Input({"type": SETTINGS.part("channel-resend"), "key": ALL}, "n_clicks"),
        State(NAME, "value"),
        State(URL, "value"),
        State(LEVELS, "value"),
        State(STEP, "value"),
        State(QUIET, "value"),
        State(SUMMARY, "value"),
        State(SHELL.location, "search"),
        prevent_initial_call=True,
    )
    def change(
        added: Any,
        tested: Any,
        removed: Any,
        resent: Any,
        name: Any,
        url: Any,
        levels: Any,
        step: Any,
        quiet: Any,
        summary: Any,
        search: str | None,
    ) -> Any:
        view, trigger = ctx.view(search), asked.triggered_id
        done = {"at": view.now_us}
        if trigger == ADD and added:
            said, ok = add(ctx, view, name, url, levels, step, quiet, summary)
            return said, done, *(("", "") if ok else (no_update, no_update))
        if isinstance(trigger, dict) and any([*tested, *removed, *resent]):
            what = str(trigger["type"]).removeprefix(SETTINGS.part("channel-"))
            return act(ctx, view, what, str(trigger["key"])), done, no_update, no_update
        return (no_update,) * 4  # a row was drawn, nobody clicked


def refusal(ctx: Context, view: View) -> str | None:
    """Why this person may not change channels; None if they may."""
    if view.role != "admin":
        return "Only administrators see and change channels"
    return view.forbidden or (None if ctx.telling is not None else ELSEWHERE)


def add(
    ctx: Context, view: View, name: Any, url: Any, levels: Any, step: Any, quiet: Any, summary: Any
) -> tuple[html.Div, bool]:
    """Keeps a channel; (what to say, whether it was kept). What the browser sent is not trusted."""
    why = refusal(ctx, view)
    if why or ctx.telling is None:
        return _said(why or ELSEWHERE), False
    levels, step, summary = str(levels), str(step), str(summary)
    if levels not in _LEVELS or step not in _STEPS or summary not in _SUMMARIES:
        return _said("Choose which alerts, when, and which summary"), False
    try:
        made = service.add(
            ctx.telling.channels,
            ctx.telling.sender,
            str(name or ""),
            str(url or ""),
            view.now_us,
            view.actor,
            secrets.token_bytes(8),
            severities=tuple(levels.split()),
            step=int(step),
            quiet=quiet_of(str(quiet or "")),
            zone=view.zone.name,
            summaries=() if summary == "none" else tuple(summary.split()),
        )
    except IopsError as refused:
        return _said(str(refused)), False
    return _said(f"{made.name} is told from now on; send it a test"), True


def act(ctx: Context, view: View, what: str, key: str) -> html.Div:
    """Test or remove a channel, or send a failed message again; a sentence about it."""
    why = refusal(ctx, view)
    if why or ctx.telling is None:
        return _said(why or ELSEWHERE)
    told = ctx.telling
    try:
        if what == "test":
            return _said(
                f"A test is on its way to {service.send_test(told, key, view.now_us)}; the list below says how it went"
            )
        if what == "remove":
            gone = service.named(told.channels, key)
            told.channels.remove_channel(gone.channel_id, view.now_us)
            return _said(f"{gone.name} is removed")
        return _said(f"It is tried again for {told.outbox.resend(key, view.now_us).channel}")
    except IopsError as refused:
        return _said(str(refused))


def _said(text: str) -> html.Div:
    return html.Div(text[:1].upper() + text[1:], className="set-secret")


def listing(ctx: Context, view: View) -> Any:
    """Channels with their figures of seven days, then the newest messages."""
    if ctx.telling is None:
        return html.P(ELSEWHERE, className="t2 fs12")
    found = ctx.telling.channels.channels()
    if not found:
        return html.P(NOBODY, className="t2 fs12")
    tallies = ctx.telling.outbox.tallies(view.now_us - WEEK)
    rows: list[list[Any]] = [_row(c, tallies.get(c.channel_id, Tally()), view) for c in found]
    heads = ["Channel", "Told", "Quiet", "Sent, 7 d", "Failed", "Waiting", "Half within", "95 % within", "Do"]
    table = components.plain_table(heads, rows, "Channels and their messages of seven days")
    return [
        html.Div(
            table, className="set-wide", tabIndex="0", role="region", **wild({"aria-label": "Channels"})
        ),
        recent(ctx.telling, view),
    ]


def _row(channel: Channel, n: Tally, view: View) -> list[Any]:
    levels = _LEVELS.get(" ".join(sorted(channel.severities, key=_order)), ", ".join(channel.severities))
    who = html.Span([html.B(channel.name), html.Span(f" {channel.scheme}", className="t3")])
    summaries = f"; {' and '.join(channel.summaries)} summary" if channel.summaries else ""
    when = _STEPS.get(str(channel.step), f"Step {channel.step}")
    sure = html.Button(
        f"Remove {channel.name}",
        id=SETTINGS.row("channel-remove", channel.channel_id),
        className="io-btn",
        type="button",
    )
    menu = html.Details(
        [
            html.Summary("Remove", className="io-btn quiet"),
            html.Div([html.P("What still waits for it is not sent."), sure], className="io-pop right"),
        ],
        className="io-menu",
    )
    test = html.Button(
        "Test",
        id=SETTINGS.row("channel-test", channel.channel_id),
        className="io-btn",
        type="button",
        disabled=bool(view.forbidden),
    )
    return [
        who,
        f"{levels}, {when[:1].lower()}{when[1:]}{summaries}",
        f"{quiet_text(channel.quiet)} {channel.zone}" if channel.quiet else "–",
        number(n.sent),
        components.tag(number(n.failed), "crit") if n.failed else "0",
        number(n.waiting),
        _seconds(n.p50_s),
        _seconds(n.p95_s),
        html.Span([test, menu], className="row-f"),
    ]


def _order(severity: str) -> int:
    return ("critical", "warning", "info").index(severity)


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{number(value, 0)} s" if value < 120 else f"{number(value / 60, 0)} min"


def recent(told: Telling, view: View) -> Any:
    """The newest messages, those that failed first."""
    failed = told.outbox.recent(RECENT, failed=True)
    found = (failed + [d for d in told.outbox.recent(RECENT) if d.state != FAILED])[:RECENT]
    if not found:
        return html.P("No message was made yet.", className="t2 fs12")
    rows: list[list[Any]] = [
        [
            view.zone.moment(d.created_us),
            d.channel,
            d.kind.capitalize(),
            state_words(d, view),
            d.reason or "–",
            _again(d),
        ]
        for d in found
    ]
    title = "Messages that failed, then the newest" if failed else "The newest messages"
    table = components.plain_table(["Made", "Channel", "What", "State", "Why", "Do"], rows, title)
    return html.Div(
        [
            html.H3(title),
            html.Div(table, className="set-wide", tabIndex="0", role="region", **wild({"aria-label": title})),
        ]
    )


def _again(found: Delivery) -> Any:
    if found.state != FAILED:
        return ""
    return html.Button(
        "Send again", id=SETTINGS.row("channel-resend", found.delivery_id), className="io-btn", type="button"
    )


def state_words(found: Delivery, view: View) -> str:
    """ "Sent 14:05", "Tried 3 times, next 14:20", "Failed after 30 tries"."""
    tries = plural(found.tries, "try", "tries")
    return {
        "sent": f"Sent {view.zone.moment(found.sent_us or found.due_us)}",
        "waiting": f"Waits until {view.zone.moment(found.due_us)}"
        if not found.tries
        else f"Failed, {tries}; next {view.zone.moment(found.due_us)}",
        "sending": "Is being sent",
        "failed": f"Failed after {tries}",
        "skipped": "Not sent",
        "merged": "Part of a digest",
    }.get(found.state, found.state)
