"""Label: one student after the other whom the model knows least about, and what somebody who knows them says."""

from __future__ import annotations

from typing import Any

import dash
from dash import ALL, Input, Output, State, dcc, no_update
from dash import ctx as asked

from backend.domain.errors import IopsError
from backend.services import labelling
from backend.services.labelling import Candidate, Queue
from dashboard import components, html, markup, prediction_card
from dashboard.components import button
from dashboard.context import Context
from dashboard.ids import LABEL, SHELL
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import chance, money, number, percent, plural

PAGE = page_named("label")
DONE = LABEL.part("done")
NEXT = 6
# Label -> key, word on the button, what the toast says.
WORDS = {
    "churned": ("1", "Has left or will leave", "labelled as leaving"),
    "stayed": ("2", "Stays", "labelled as staying"),
    "unsure": ("3", "Not sure", "passed over"),
}


def layout() -> html.Div:
    return html.Div(
        [html.Div([components.loading(1, 380)], id=LABEL.body, className="ppl-page"), dcc.Store(id=DONE)]
    )


def register(app: Any, ctx: Context) -> None:
    @app.callback(
        Output(LABEL.body, "children"),
        Input(SHELL.location, "pathname"),
        Input(SHELL.location, "search"),
        Input(DONE, "data"),
    )
    def refresh(pathname: str | None, search: str | None, _done: Any) -> Any:
        if (pathname or "").rstrip("/") != PAGE.path:
            return no_update
        view = ctx.view(search)
        return markup.drawn(ctx.guarded("Whom to label", lambda: body(ctx.reads, view)))

    @app.callback(
        Output(DONE, "data"),
        Input({"type": LABEL.part("say"), "key": ALL}, "n_clicks"),
        State(SHELL.location, "search"),
        prevent_initial_call=True,
    )
    def say(_clicks: Any, search: str | None) -> Any:
        trigger = asked.triggered[0] if asked.triggered else {}
        if not trigger or not trigger.get("value") or not isinstance(asked.triggered_id, dict):
            return no_update  # a row was drawn, nobody clicked
        said, _, student_id = asked.triggered_id["key"].partition("|")
        view = ctx.view(search)
        done, text = labelled(ctx.reads, view, student_id, said)
        dash.set_props(SHELL.toast, {"data": {"text": text, "level": "" if done else "error"}})
        return {"at": view.now_us, "who": student_id} if done else no_update


def labelled(store: Any, view: View, student_id: str, said: str) -> tuple[bool, str]:
    """Keep a label; whether that worked, and what to say about it."""
    if view.forbidden:
        return False, view.forbidden
    try:
        labelling.label(store, student_id, said, actor=view.actor, now_us=view.now_us)
    except IopsError as error:
        text = str(error)
        return False, text[:1].upper() + text[1:]
    return True, f"{student_id} {WORDS[said][2]}"


def body(store: Any, view: View) -> list[Any]:
    """The first of the queue to decide about, who comes next, and how far one is."""
    found = labelling.queue(store, view.scope)
    if not found.waiting:
        return [_nobody(found, view)]
    first, rest = found.waiting[0], found.waiting[1 : 1 + NEXT]
    parts = [
        card(first, view),
        html.Div([progress(found, view), *([_rest(rest, view)] if rest else [])], className="lbl-side"),
    ]
    return [html.Div(parts, className="lbl-two")]


def card(found: Candidate, view: View) -> html.Section:
    """One student: what the model says and why, what is known, and the three answers."""
    row = found.row
    facts = [
        ("Sessions, 30 days", number(row.sessions_30d), f"{number(row.sessions_7d)} in 7 days"),
        ("Calls, 14 days", number(row.ib_calls_14d), None),
        ("Health", number(row.health, 0) if row.health is not None else "unknown", row.health_source),
        ("Rated", number(row.avg_rating, 1) if row.avg_rating is not None else "not yet", None),
        ("A month", money(row.monthly_value) if row.monthly_value else "unknown", None),
    ]
    name = html.A(row.name, href=f"/students/{row.student_id}", className="io-link")
    title = [name, f": {chance(found.prediction.value)} likely to leave within 30 days, says the model"]
    answers = [_answer(said, row.student_id, view) for said in WORDS]
    inside = [
        components.strip(facts, f"What is known of {row.name}"),
        prediction_card.reasons(found.prediction),
        html.P("Do you know more? Say what is so, or what you are sure will be.", className="t2 fs12"),
        html.Div(
            answers, className="lbl-say", role="group", **components.wild({"aria-label": f"Label {row.name}"})
        ),
    ]
    return components.panel(title, html.Div(inside, className="io-pad prd"), view, span="")


def _answer(said: str, student_id: str, view: View) -> html.Button:
    key, word, _ = WORDS[said]
    return button(
        [html.Kbd(key, className="io-kbd"), f" {word}"],
        id=LABEL.row("say", f"{said}|{student_id}"),
        kind="" if said == "unsure" else "pri",
        disabled=view.forbidden,
        data_label=key,
    )


def progress(found: Queue, view: View) -> html.Section:
    """How many were labelled lately, and what for."""
    total = found.done + len(found.waiting)
    share = found.done / total if total else 0.0
    bar = html.Div(
        html.I(style={"width": percent(share).replace(" ", "")}),
        className="lbl-bar",
        role="progressbar",
        **components.wild(
            {"aria-valuenow": str(found.done), "aria-valuemax": str(total), "aria-label": "Labelled"}
        ),
    )
    said = ", ".join(f"{number(found.counts[name])} {WORDS[name][2]}" for name in WORDS)
    why = (
        "Labels join the next training where the log does not show yet what came of it. First come those about whom the model is "
        "least sure and who pay most: there a label teaches most."
    )
    inside = [bar, html.P(said, className="t2 fs12"), html.P(why, className="t3 fs12")]
    return components.panel(
        f"{number(found.done)} of {number(total)} done in 30 days",
        html.Div(inside, className="io-pad prd"),
        view,
        span="",
    )


def _rest(rest: list[Candidate], view: View) -> html.Section:
    rows: list[list[Any]] = [
        [
            html.A(c.row.name, href=f"/students/{c.row.student_id}"),
            chance(c.prediction.value),
            money(c.row.monthly_value) if c.row.monthly_value else "–",
        ]
        for c in rest
    ]
    table = components.plain_table(["Student", "Chance to leave", "A month"], rows, "Who comes next")
    return components.panel(f"{plural(len(rest), 'student')} next", table, view, span="")


def _nobody(found: Queue, view: View) -> html.Section:
    why = (
        "Everybody who is worth asking about was labelled in the last 30 days."
        if found.done
        else "Students appear here once a model has scored them."
    )
    links = [html.A("Models", href="/models"), html.A("Students", href="/students")]
    return components.panel(
        "Nobody to label", components.empty("All done", why, links, sign="status"), view, span=""
    )
