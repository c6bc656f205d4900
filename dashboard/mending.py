"""In the drawer of a refused item: a field with its body to correct, and the button that sends it again."""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.errors import InvalidEvent, IopsError
from backend.services import mending
from backend.services.read_models import RejectRow
from dashboard import components, html
from dashboard.components import button
from dashboard.context import Context
from dashboard.ids import SHELL
from dashboard.view import View

REPLAY, BODY = "reject-replay", "reject-body"
_LEVELS = {"critical": "critical", "error": "warning", "warning": "info"}


def register(app: Any, ctx: Context) -> None:
    """The button. What became of it is said in a toast."""

    @app.callback(
        Output(SHELL.sink, "data-reject"),
        Input({"type": REPLAY, "reject": ALL}, "n_clicks"),
        State({"type": BODY, "reject": ALL}, "value"),
        State(SHELL.location, "search"),
        prevent_initial_call=True,
    )
    def replay(_clicks: Any, bodies: list[Any], search: str | None) -> Any:
        trigger = asked.triggered[0] if asked.triggered else {}
        if not trigger or not trigger.get("value") or not isinstance(asked.triggered_id, dict):
            return no_update  # a drawer was drawn, nobody clicked
        done, text = replayed(ctx, ctx.view(search), int(asked.triggered_id["reject"]), bodies[0])
        dash.set_props(SHELL.toast, {"data": {"text": text, "level": "" if done else "error"}})
        return no_update


def replayed(ctx: Context, view: View, reject_id: int, body: str | None) -> tuple[bool, str]:
    """Send a refused item again; whether that worked, and what to say about it."""
    if view.forbidden:
        return False, view.forbidden
    try:
        mending.replay(ctx.reads, reject_id, body or None, actor=view.actor, now_us=view.now_us)
    except InvalidEvent as error:
        return False, f"Still refused: {'; '.join(found.message for found in error.violations[:3])}"
    except IopsError as error:
        return False, str(error)
    return True, "Sent again and accepted"


def level(row: RejectRow) -> str:
    """The mark of an item's grade, on the scale that alerts have."""
    return _LEVELS.get(row.grade, "unknown")


def section(row: RejectRow, body: str, view: View) -> html.Section:
    """What can be done about an item; what was done, where it was sent again."""
    if row.state != mending.NEW:
        when = view.zone.full(row.replayed_us) if row.replayed_us is not None else ""
        return components.section("Sent again", html.P(f"By {row.replayed_by or 'somebody'}, {when}"))
    field = dcc.Textarea(
        id={"type": BODY, "reject": str(row.reject_id)},
        value=body,
        rows=8,
        className="io-input data-code",
        disabled=bool(view.forbidden),
    )
    label = html.Label([html.Span("Corrected body", className="io-sr"), field])
    own_id = {"type": REPLAY, "reject": str(row.reject_id)}
    act = button("Replay", id=None if view.forbidden else own_id, kind="pri", disabled=view.forbidden)
    return components.section("Correct it and send it again", html.Div([label, act]))
