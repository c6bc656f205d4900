"""Panels of the page of models: versions and what can be done with them, how good one is, what its inputs do, decisions."""

from __future__ import annotations

from typing import Any

from dash import dcc

from backend.services.models import DRIFTED, MOVED, RELIES_ON
from dashboard import components, html
from dashboard.components import wild
from dashboard.ids import MODELS
from dashboard.prediction_card import WORDS, feature_text
from dashboard.view import View
from dashboard.words import count_title, number, percent, plural, readable
from dashboard.zones import ago, span

SHOWN_FEATURES = 10
_STATES = {
    "in use": ("ok", "In use"),
    "canary": ("info", "Canary"),
    "shadow": ("info", "Shadow"),
    "kept": ("unknown", "Kept"),
}
_COMMAND = "iops train --source log"


def registry(kind: str, found: dict[str, Any], view: View, forbidden: str | None) -> html.Section:
    """The versions of a kind, newest first, with what each may be told to do."""
    if not found["versions"]:
        why = "A model is trained from the log of this installation, or from a simulated history."
        body: Any = components.empty(f"No model of {kind}s", why, _command(), sign="status")
        return components.panel(f"No {kind} is scored", body, view, span="")
    rows: list[list[Any]] = [
        [
            html.Span(v["version"], className="mono"),
            _state(v, found["canary"]),
            "came with the program" if v["shipped"] else "trained here",
            number(v["scored"]),
            percent(v["mean_risk"], 1) if v["scored"] else "–",
            number(v["high_risk"]) if v["scored"] else "–",
            _actions(v, found, forbidden),
        ]
        for v in found["versions"]
    ]
    risk = "Mean chance to leave" if kind == "student" else "Mean chance to stop"
    columns = ["Version", "State", "From", f"{readable(kind)}s scored", risk, "From 50 %", "Decide"]
    table = html.Div(
        components.plain_table(columns, rows, f"Models of {kind}s"),
        className="mdl-scroll",
        tabIndex="0",
        role="region",
        **wild({"aria-label": f"Models of {kind}s"}),
    )
    label: list[components.Children] = (
        [" · ", html.A("Label those it is unsure about", href="/label")] if kind == "student" else []
    )
    foot = html.Span(["Train anew: ", _command(), ", or --source simulator", *label])
    return components.panel(_title(kind, found), table, view, span="", foot=foot)


def _command() -> html.Span:
    return html.Span(_COMMAND, className="mono")


def _title(kind: str, found: dict[str, Any]) -> str:
    scored = sum(v["scored"] for v in found["versions"])
    trial = found["canary"]
    if trial:
        return f"A new model scores {percent(trial['share'])} of {kind}s, the one in use the rest"
    if found["active"] is None:
        return f"{plural(len(found['versions']), 'model')} of {kind}s, none in use"
    return f"{plural(scored, kind)} scored by the model in use"


def _state(v: dict[str, Any], trial: dict[str, Any] | None) -> html.Span:
    level, word = _STATES[v["state"]]
    if v["state"] == "canary" and trial:
        word = f"{word}, {percent(trial['share'])}"
    return components.severity(level, word)


def _actions(v: dict[str, Any], found: dict[str, Any], forbidden: str | None) -> Any:
    """What may be done with a version; each asks once more, with a place for the reason."""
    version = v["version"]
    if forbidden:
        return html.Span(forbidden, className="t3 fs12") if v["state"] == "in use" else ""
    if v["state"] == "in use":
        back = found["canary"] or found["previous"]
        if not back:
            return ""
        says = "The canary ends." if found["canary"] else f"{found['previous']} is in use again."
        return html.Div(menu("Roll back", version, "rollback", says), className="mdl-act")
    share = html.Label(
        [
            "Share, 1 to 99 %",
            dcc.Input(
                id=MODELS.row("share", version),
                type="number",
                min=1,
                max=99,
                step=1,
                value=10,
                className="io-input",
            ),
        ]
    )
    aside = (
        ()
        if v["state"] != "kept" or found["active"] is None
        else (
            menu(
                "Put in the shadow",
                version,
                "shadow",
                "It scores everybody too. Only this page shows what it says.",
            ),
        )
    )
    parts = [
        *aside,
        menu(
            "Give a share",
            version,
            "canary",
            "They are scored by it from now on, always the same ones.",
            share,
        ),
        menu("Put in use", version, "promote", "Everybody is scored by it within minutes."),
    ]
    return html.Div(parts, className="mdl-act")


def menu(label: str, version: str, action: str, says: str, field: Any = None) -> html.Details:
    """A button that asks once more before it does something to a version."""
    go = html.Button(label, id=MODELS.row(action, version), className="io-btn pri", type="button")
    inner = [part for part in (html.P(says), field, go) if part is not None]
    face = html.Summary(label, className="io-btn", **wild({"aria-label": f"{label}: {version}"}))
    return html.Details([face, html.Div(inner, className="io-pop right")], className="io-menu")


def training(found: dict[str, Any], view: View, forbidden: str | None) -> html.Section:
    """When models were trained from this installation's log, what came of it, and asking for it now."""
    state = found["state"]
    since = ago(found.get("ended_us") or found["started_us"], view.now_us) if found["started_us"] else ""
    titles = {
        "never": "Nothing was trained from your own log yet",
        "running": f"Training now, for {span(view.now_us - found['started_us'])}"
        if found["started_us"]
        else "",
        "done": f"Trained from your own log {since}",
        "failed": f"The last training came to nothing, {since}",
    }
    waiting = found.get("asked_us", 0) > found["started_us"]
    says = [html.Li(line) for line in found.get("said", ())] or [
        html.Li(
            "It starts within seconds, unless events are waiting."
            if waiting
            else "By schedule, when inputs have moved far, or when you ask; at the lowest priority, beside everything else. "
            "A log needs 42 days. What is not better is kept, and not used."
        )
    ]
    go = None
    if not forbidden and state != "running" and not waiting:
        go = html.Button("Train now", id=MODELS.row("train", "now"), className="io-btn", type="button")
    foot = html.Span(f"because: {found['why']}") if found.get("why") else None
    inside = html.Div(html.Ul(says, className="mdl-log"), className="io-pad")
    return components.panel(titles[state], inside, view, span="", end=go, foot=foot)


def quality(kind: str, card: dict[str, Any], view: View) -> html.Section:
    """Every prediction of a version in one line each, in plain words, beside the plain method it has to beat."""
    rows = [[WORDS[name][0], *_judged(f, card)] for name, f in card["targets"].items()]
    table = components.plain_table(
        ["Prediction", "Cases kept aside", "Ranks right (AUC)", *_beside(card), "Off by", "In words"],
        rows,
        "How good each prediction is",
    )
    data = card["data"]
    left_out = [html.Li(f"{WORDS[name][0]}: {why}") for name, why in data.get("untrained", {}).items()]
    words = [
        html.P(
            f"Trained on {data['source']}: {number(data['entities'])} {kind}s, {number(data['rows']['train'])} rows; "
            f"judged on {number(data['rows']['test'])} rows of others at later times.",
            className="t2 fs12",
        ),
        html.Ul([html.Li("Not predicted:"), *left_out], className="mdl-log") if left_out else None,
    ]
    body = [
        html.Div(
            table,
            className="mdl-scroll mdl-quality",
            tabIndex="0",
            role="region",
            **wild({"aria-label": f"Quality of the model of {kind}s"}),
        )
    ]
    body.append(html.Div([w for w in words if w is not None], className="io-pad mdl-words"))
    return components.panel(_best(card), body, view, span="", sub=card["version"])


def _best(card: dict[str, Any]) -> str:
    lead = card["targets"].get("churn_30d") or card["targets"].get("retention_30d")
    if lead is None or lead.get("auc") is None:
        return "How good it is"
    return f"Of two cases it ranks the right one first {percent(lead['auc'])} of the time"


_BESIDE = {"compact_25": "With 25 inputs", "all_features": "With all inputs"}  # the same rows, another model


def _beside(card: dict[str, Any]) -> list[str]:
    """Columns of what the model is compared with on the same rows."""
    there = {name for f in card["targets"].values() for name in f["baselines"]}
    return ["Plain method", *(words for name, words in _BESIDE.items() if name in there)]


def _judged(f: dict[str, Any], card: dict[str, Any]) -> list[Any]:
    """Cases, ranking, that of what it is compared with, how far off, and what that means."""
    chance = "auc" in f
    plain = ["logistic" if chance else "linear"]
    others = plain + [name for name, words in _BESIDE.items() if words in _beside(card)]
    compared = [_compared(f["baselines"].get(name), chance) for name in others]
    if chance:
        return [
            number(f["rows"]),
            _share(f["auc"]),
            *compared,
            f"{number(100 * f['ece'], 1)} points",
            _in_words(f),
        ]
    better = 1 - f["mae"] / f["baselines"]["training_mean"]["mae"]
    words = f"{percent(better)} closer than always saying the mean"
    return [number(f["rows"]), "–", *compared, number(f["mae"], 2), words]


def _compared(other: dict[str, Any] | None, chance: bool) -> str:
    if other is None:
        return "–"
    return _share(other["auc"]) if chance else f"off by {number(other['mae'], 2)}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{number(100 * value, 1)} %"


def _in_words(f: dict[str, Any]) -> str:
    c = f["confusion"]
    said, right = c["true_positive"] + c["false_positive"], c["true_positive"]
    there = right + c["false_negative"]
    sure = (
        f"of {number(said)} said from 50 %, {number(right)} were so" if said else "never says more than 50 %"
    )
    top = f.get("found_in_top_tenth")
    if top is None:
        text = f"{sure}; of {number(there)} it found {percent(right / there)}" if said and there else sure
    else:
        text = f"{sure}; the tenth it puts first holds {percent(top)} of the {number(there)}"
    best = f.get("best_possible")
    return text + (f"; {percent(best['ratio'], 1)} of the best possible ranking" if best else "")


def drift(kind: str, found: dict[str, Any] | None, view: View, simulated: bool = False) -> html.Section:
    """Which inputs have moved away from those of the training, the most moved first."""
    if not found:
        why = f"Measured daily, and after a start once everybody who is due was scored, if there are 30 {kind}s."
        return components.panel(
            "Drift is not measured yet", html.P(why, className="io-pad t2"), view, span=""
        )
    features = found["features"]
    far = [name for name, index in features if index >= DRIFTED]
    weight = found.get("far_weight", len(far) / max(1, len(features)))
    title = (
        f"{plural(len(far), 'input')} of {number(len(features))} look unlike the training"
        if far
        else "Inputs are as they were in training"
    )
    rows: list[list[Any]] = [
        [feature_text(name), number(index, 2), _moved(index)] for name, index in features[:SHOWN_FEATURES]
    ]
    table = components.plain_table(
        ["Input", "Stability index", "Reading"], rows, "Drift of inputs, most moved first"
    )
    foot = html.Span(
        f"{number(found['rows'])} {kind}s of the last day, {ago(found['at_us'], view.now_us)}; "
        f"{number(len(features))} inputs, moved from {MOVED:g}, far from {DRIFTED:g}"
        + (f"; {number(found['later'])} look back further than this log goes" if found.get("later") else "")
    )
    inside = [html.P(_reading(weight, simulated), className="io-pad t2 fs12"), table] if far else [table]
    return components.panel(
        title, html.Div(inside, className="mdl-scroll mdl-drift"), view, span="", foot=foot
    )


def _reading(weight: float, simulated: bool) -> str:
    """What it means that inputs have moved: how much of what the model says rests on them, and what to do."""
    rests = f"{percent(weight)} of what the model says rests on them"
    if weight < RELIES_ON:
        return f"{rests}: little enough to go on."
    if simulated:
        return (
            f"{rests}: this marketplace is not the simulated one that the model comes from. Read its figures with care, "
            "and train on your own log as soon as it is long enough."
        )
    return f"{rests}: time to train anew."


def _moved(index: float) -> html.Span:
    if index >= DRIFTED:
        return components.severity("warning", "far")
    return components.severity("info", "moved") if index >= MOVED else components.severity("ok", "steady")


def decisions(found: dict[str, Any], view: View) -> html.Section | None:
    """What was decided, when and why, newest first; None before anything was."""
    if not found["decisions"]:
        return None
    lines = [
        html.Li(
            [
                html.B(f"{readable(entry['what'])}: {entry['version']}"),
                html.Div(f"{entry['reason']} · {entry['at'][:16].replace('T', ' ')} UTC", className="t2"),
            ]
        )
        for entry in found["decisions"][:12]
    ]
    title = count_title(len(found["decisions"]), "decision", "so far", "No decision yet")
    return components.panel(
        title, html.Div(html.Ul(lines, className="mdl-log"), className="io-pad"), view, span=""
    )
