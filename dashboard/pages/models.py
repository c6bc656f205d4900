"""Models: which version scores whom, how good it is, whether its inputs still look like those it learned from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import dash
from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.errors import IopsError
from backend.domain.predictions import ENTITY_TYPES
from backend.services import models, retraining
from dashboard import calibration_panel, components, html, markup, model_panels, trial_panels
from dashboard.context import Context
from dashboard.ids import MODELS, SHELL
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import readable

PAGE = page_named("models")
DONE = MODELS.part("done")
_ELSEWHERE = "Models are kept elsewhere in this installation"


def layout() -> html.Div:
    boxes = [
        components.loading(1, 160),
        html.Div([components.loading(1, 300), components.loading(1, 300)], className="mdl-two"),
    ]
    return html.Div([html.Div(boxes, id=MODELS.body, className="ppl-page"), dcc.Store(id=DONE)])


def register(app: Any, ctx: Context) -> None:
    @app.callback(
        Output(MODELS.body, "children"),
        Input(SHELL.location, "pathname"),
        Input(SHELL.location, "search"),
        Input(DONE, "data"),
    )
    def refresh(pathname: str | None, search: str | None, _done: Any) -> Any:
        if (pathname or "").rstrip("/") != PAGE.path:
            return no_update
        view = ctx.view(search)
        return markup.drawn(ctx.guarded("The models", lambda: body(ctx, view)))

    @app.callback(
        Output(DONE, "data"),
        Input({"type": MODELS.part("promote"), "key": ALL}, "n_clicks"),
        Input({"type": MODELS.part("canary"), "key": ALL}, "n_clicks"),
        Input({"type": MODELS.part("shadow"), "key": ALL}, "n_clicks"),
        Input({"type": MODELS.part("drop"), "key": ALL}, "n_clicks"),
        Input({"type": MODELS.part("rollback"), "key": ALL}, "n_clicks"),
        Input({"type": MODELS.part("train"), "key": ALL}, "n_clicks"),
        State({"type": MODELS.part("share"), "key": ALL}, "value"),
        State({"type": MODELS.part("share"), "key": ALL}, "id"),
        State(SHELL.location, "search"),
        prevent_initial_call=True,
    )
    def decide(*given: Any) -> Any:
        shares, ids, search = given[-3:]
        trigger = asked.triggered[0] if asked.triggered else {}
        if not trigger or not trigger.get("value") or not isinstance(asked.triggered_id, dict):
            return no_update  # a row was drawn, nobody clicked
        version, action = (
            asked.triggered_id["key"],
            asked.triggered_id["type"].removeprefix(f"{MODELS.name}-"),
        )
        chosen = {field["key"]: value for field, value in zip(ids, shares, strict=True)}
        view = ctx.view(search)
        done, text = decided(ctx, view, version, action, chosen.get(version))
        dash.set_props(SHELL.toast, {"data": {"text": text, "level": "" if done else "error"}})
        return {"at": view.now_us} if done else no_update


def refusal(ctx: Context, view: View) -> str | None:
    """Why this person may not decide about models; None if they may."""
    if view.role != "admin":
        return "Only administrators decide"
    return view.forbidden or (None if ctx.models is not None else _ELSEWHERE)


def decided(ctx: Context, view: View, version: str, action: str, share: Any) -> tuple[bool, str]:
    """Tell the models; whether that worked, and what to say about it. `share` is in percent."""
    why = refusal(ctx, view)
    if why or ctx.models is None:
        return False, why or _ELSEWHERE
    if action == "train":
        retraining.ask(ctx.reads, view.actor, view.now_us)
        return True, "Training starts within seconds, unless events are waiting"
    if action == "canary" and not (isinstance(share, int | float) and 1 <= share <= 99):
        return False, "A share is a number from 1 to 99"
    try:
        models.command(
            ctx.reads,
            ctx.models(),
            version,
            action,
            actor=view.actor,
            now_us=view.now_us,
            share=share / 100 if action == "canary" else None,
        )
    except IopsError as error:
        return False, _sentence(error)
    said = {
        "promote": "is in use",
        "canary": f"scores {share} %",
        "rollback": "was taken back",
        "shadow": "scores in the shadow",
        "drop": "is in no shadow any more",
    }
    return True, f"{version} {said[action]}"


def _sentence(error: IopsError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def choices(ctx: Context, _view: View) -> dict[str, Collection[str]]:
    """Predictions whose calibration can be plotted, of the versions in use."""
    if ctx.models is None:
        return {}
    shelf = ctx.models()
    used = [found["active"] for found in models.overview(ctx.reads, shelf).values() if found["active"]]
    cards = [models.card(shelf, version) for version in used]
    return {"tab": [name for card in cards for name in calibration_panel.plotted(card)]}


def body(ctx: Context, view: View) -> Any:
    """Both kinds, each with its versions, quality, calibration, drift and decisions."""
    if ctx.models is None:
        return components.panel(
            "No models here", components.empty("Nothing to show", _ELSEWHERE, sign="status"), view, span=""
        )
    shelf = ctx.models()
    found = models.overview(ctx.reads, shelf)
    why = refusal(ctx, view)
    target = view.filters.get("tab") or ""
    parts: list[Any] = [model_panels.training(retraining.state(ctx.reads), view, why)]
    for kind in ENTITY_TYPES:
        parts.append(html.H2(f"{readable(kind)}s", className="io-sr"))
        parts.append(model_panels.registry(kind, found[kind], view, why))
        parts += [
            trial_panels.trial(kind, trial, found[kind]["active"], view, why)
            for trial in found[kind]["trials"]
        ]
        if found[kind]["active"]:
            parts += of_version(shelf, kind, found[kind], target, view)
    return [part for part in parts if part is not None]


def of_version(
    shelf: models.ModelShelf, kind: str, found: dict[str, Any], target: str, view: View
) -> list[Any]:
    """How good the version in use is, and what has happened to it."""
    try:
        card = models.card(shelf, found["active"])
    except IopsError as error:
        empty = components.empty("Its file cannot be used", _sentence(error), sign="status")
        return [components.panel("The model in use cannot be read", empty, view, span="")]
    measured = bool(found["drift"])
    moved = model_panels.drift(kind, found["drift"], view, card["data"]["source"].startswith("simulated"))
    said = calibration_panel.reliability(card, target, view, alone=not measured)
    return [
        model_panels.quality(kind, card, view),
        # What is not measured yet is a sentence, and leaves its half to the other.
        html.Div([said, moved], className="mdl-two" if measured else "mdl-one"),
        model_panels.decisions(found, view),
    ]
