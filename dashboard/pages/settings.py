"""Settings: what I prefer in this browser; for admins the keys of senders; channels, and the limits at which rules raise alerts."""

from __future__ import annotations

import secrets
from typing import Any

from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.errors import IopsError
from backend.services import access, limits
from dashboard import channels_panel, components, html, markup, rules_panel
from dashboard.components import wild
from dashboard.context import Context
from dashboard.ids import SETTINGS, SHELL
from dashboard.pages import page_named
from dashboard.shell import NOTIFY, THEMES
from dashboard.view import View
from dashboard.zones import CHOICES, ago

PAGE = page_named("settings")
NAME, CREATE, SECRET = SETTINGS.part("name"), SETTINGS.part("create"), SETTINGS.part("secret")
ELSEWHERE = "Keys are kept elsewhere in this installation"
KEYS, BOX, DONE = SETTINGS.part("keys"), SETTINGS.part("access"), SETTINGS.part("done")


def layout() -> html.Div:
    return html.Div(
        [
            html.Div(components.loading(1, 260), id=SETTINGS.body, className="set-body"),
            rules_panel.box(),
            channels_panel.box(),
            _access_box(),
            dcc.Store(id=DONE),
        ],
        className="ppl-page",
    )


def _access_box() -> html.Section:
    """The part for admins; stays hidden for everybody else, who is refused by the callbacks too."""
    form = html.Div(
        [
            html.Label(
                ["Name of the sender", dcc.Input(id=NAME, type="text", maxLength=80, className="io-input")]
            ),
            components.button("Create key", id=CREATE, kind="pri"),
        ],
        className="set-form",
    )
    return html.Section(
        [
            html.Div(html.H2("Ingest keys"), className="io-ph"),
            html.Div([html.Div(id=KEYS), form, html.Div(id=SECRET, role="status")], className="io-pad"),
        ],
        className="io-p",
        id=BOX,
        hidden=True,
    )


def register(app: Any, ctx: Context) -> None:
    channels_panel.register(app, ctx)
    rules_panel.register(app, ctx)

    @app.callback(
        Output(SETTINGS.body, "children"), Input(SHELL.location, "search"), Input(rules_panel.DONE, "data")
    )
    def refresh(search: str | None, _done: Any) -> Any:
        view = ctx.view(search)
        return markup.drawn(
            [
                preferences(view),
                ctx.guarded("The rules", lambda: rules_panel.panel(limits.rules(ctx.reads), view)),
            ]
        )

    @app.callback(
        Output(KEYS, "children"),
        Output(BOX, "hidden"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
        Input(DONE, "data"),
    )
    def keys(search: str | None, _live: Any, _done: Any) -> Any:
        view = ctx.view(search)
        if view.role != "admin":
            return None, True
        return markup.drawn(ctx.guarded("The keys", lambda: key_table(ctx, view))), False

    @app.callback(
        Output(SECRET, "children"),
        Output(DONE, "data"),
        Output(NAME, "value"),
        Input(CREATE, "n_clicks"),
        Input({"type": SETTINGS.part("revoke"), "key": ALL}, "n_clicks"),
        State(NAME, "value"),
        prevent_initial_call=True,
    )
    def change(created: int | None, revoked: list[int | None], name: str | None) -> Any:
        view, trigger = ctx.view(""), asked.triggered_id
        if trigger == CREATE and created:
            said, ok = create(ctx, view, name or "", secrets.token_bytes(access.SECRET_BYTES))
            return said, {"at": view.now_us}, "" if ok else no_update
        if isinstance(trigger, dict) and any(revoked):
            return revoke(ctx, view, str(trigger["key"])), {"at": view.now_us}, no_update
        return no_update, no_update, no_update  # a row was drawn, nobody clicked


def refusal(ctx: Context, view: View) -> str | None:
    """Why this person may not change keys; None if they may."""
    if view.role != "admin":
        return "Only administrators see and change keys"
    return view.forbidden or (None if ctx.keys is not None else ELSEWHERE)


def create(ctx: Context, view: View, name: str, random: bytes) -> tuple[html.Div, bool]:
    """Makes a key and shows it, this once; (what to show, whether it was made)."""
    why = refusal(ctx, view)
    if why or ctx.keys is None:
        return _said(why or ELSEWHERE), False
    try:
        made, secret = access.issue(ctx.keys, name, "ingest", "sender", view.now_us, random)
    except IopsError as refused:
        return _said(str(refused)), False
    shown = "settings-new-key"
    parts = [
        html.P(f"The key of {made.name}. It is shown only now; copy it to the sender."),
        html.Pre(secret, id=shown, className="data-code", tabIndex=0, **wild({"aria-label": "The new key"})),
        components.button("Copy", data_copy=shown),
    ]
    return html.Div(parts, className="set-secret"), True


def revoke(ctx: Context, view: View, key_id: str) -> html.Div:
    """Ends a key within seconds; a sentence about it."""
    why = refusal(ctx, view)
    if why or ctx.keys is None:
        return _said(why or ELSEWHERE)
    try:
        return _said(f"The key of {access.revoke(ctx.keys, key_id, view.now_us).name} is revoked")
    except IopsError as refused:
        return _said(str(refused))


def _said(text: str) -> html.Div:
    return html.Div(text[:1].upper() + text[1:], className="set-secret")


def key_table(ctx: Context, view: View) -> Any:
    """Keys in use, newest first, with when each was last used; never the key itself."""
    if ctx.keys is None:
        return html.P(ELSEWHERE, className="t2 fs12")
    found = [c for c in ctx.keys.credentials() if c.kind == "ingest" and c.revoked_us is None]
    if not found:
        return html.P(
            "No key was made yet. Each sender should have its own, so that one can be ended without the others.",
            className="t2 fs12",
        )
    rows: list[list[Any]] = [
        [
            c.name,
            html.Span(c.key_id, className="mono"),
            view.zone.moment(c.created_us),
            ago(c.last_used_us, view.now_us),
            _revoke_menu(c),
        ]
        for c in reversed(found)
    ]
    return components.plain_table(["Sender", "Id", "Made", "Last used", "End"], rows, "Ingest keys in use")


def _revoke_menu(key: access.Credential) -> html.Details:
    """Asks once more: what a sender holds stops working."""
    sure = html.Button(
        f"Revoke {key.name}", id=SETTINGS.row("revoke", key.key_id), className="io-btn", type="button"
    )
    words = html.P("Its events are refused from then on.")
    face = html.Summary("Revoke", className="io-btn quiet")
    return html.Details([face, html.Div([words, sure], className="io-pop right")], className="io-menu")


def preferences(view: View) -> html.Section:
    """Choices that this browser remembers; they take effect at once."""
    zones = [(value, label if value else "This computer's") for value, label in CHOICES]
    body = [
        components.preference("Theme", "theme", THEMES),
        components.preference("Time zone", "zone", zones),
        components.preference("Single letters as shortcuts", "keys", (("on", "On"), ("off", "Off"))),
        components.preference("Browser notifications of critical alerts", "notify", NOTIFY),
    ]
    who = f"{view.actor}, {view.role}"
    return components.panel(
        "My preferences",
        html.Div(body, className="io-pad set-prefs"),
        view,
        span="",
        sub=f"of this browser; signed in as {who}",
    )
