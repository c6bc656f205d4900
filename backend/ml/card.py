"""The model card: what a model was made of and every figure that judged it, as Markdown for people and data for programs."""

from __future__ import annotations

import json
from typing import Any

from backend.domain.wording import counted
from backend.ml.models import Model

_SHOWN = ("rows", "auc", "pr_auc", "brier_skill", "log_loss", "ece", "mae", "rmse", "r2")
_BAR = 20  # characters of a full bar in the reliability plot


def card_data(raw: bytes, name: str) -> dict[str, Any]:
    """The card of a model file as plain data: where the model comes from, and all figures by target.

    Reads no trees, so it also tells of a model for other features. ValueError, with `name`, for what is no model file.
    """
    try:
        data = json.loads(raw)
        plain = {
            key: data[key] for key in ("version", "entity_type", "trained_at", "feature_version", "data")
        }
        figures = {target: made["figures"] for target, made in data["targets"].items()}
        return plain | {"features": len(data["features"]), "targets": figures}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} is no model file of this program ({error})") from error


def card_text(model: Model) -> str:
    """The card in Markdown; all figures are of rows whose entity and time were not trained on."""
    data, untrained = model.data, model.data["untrained"]
    lines = [
        f"# Model card: {model.version}",
        "",
        f"Predictions for one {model.entity_type}, from {len(model.feature_names)} features (registry {model.feature_version}).",
        f"Trained at {model.trained_at} on {data['source']}: {data['entities']} entities, cut-offs {data['first_cutoff']} to"
        f" {data['last_cutoff']}; rows {data['rows']['train']} train, {data['rows']['validation']} validation,"
        f" {data['rows']['test']} test, disjoint by entity and, from three cut-offs on, in time.",
        f"Settings by {data['trials']} trials, seed {data['seed']}. All figures below are of the test rows.",
        "",
    ]
    for name, target in model.targets.items():
        lines += _target_text(name, target.figures)
    if untrained:
        lines += ["## Not trained", "", *(f"- {name}: {reason}" for name, reason in untrained.items()), ""]
    return "\n".join(lines)


def _target_text(name: str, figures: dict[str, Any]) -> list[str]:
    shown = [key for key in _SHOWN if key in figures]
    lines = [f"## {name}", "", "| | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
    lines.append(_row("model", figures, shown))
    lines += [_row(f"baseline: {b}", f, shown) for b, f in figures["baselines"].items()]
    lines += [_row(f"segment: {s}", f, shown) for s, f in figures["segments"].items()]
    if "best_possible" in figures:
        best = figures["best_possible"]
        lines += [
            "",
            f"Who knew all that the simulation hides, but not the future, would reach an AUC of {best['auc']:.3f}; "
            f"the model reaches {100 * best['ratio']:.1f} % of that.",
        ]
    if "confusion" in figures:
        c = figures["confusion"]
        lines += [
            "",
            f"At {figures['threshold']:g}: {c['true_positive']} true and {counted(c['false_positive'], 'false alarm')}, "
            f"{c['false_negative']} missed, {c['true_negative']} rightly quiet. Base rate {figures['base_rate']:.3f}.",
            "",
            "| predicted | observed | rows | observed share |",
            "|---|---|---|---|",
        ]
        for r in figures["reliability"]:
            bar = "#" * round(r["observed"] * _BAR)
            lines.append(f"| {r['predicted']:.3f} | {r['observed']:.3f} | {r['count']} | {bar} |")
    return [*lines, ""]


def _row(label: str, figures: dict[str, Any], shown: list[str]) -> str:
    return f"| {label} | " + " | ".join(_cell(figures[k]) for k in shown) + " |"


def _cell(figure: float | None) -> str:
    """A figure that cannot be computed (an AUC of one class) is a dash."""
    if figure is None or figure != figure:
        return "-"
    return f"{figure:d}" if isinstance(figure, int) else f"{figure:.3f}"
