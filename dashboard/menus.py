"""Menus whose choice is kept in the address. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from dashboard import components, html
from dashboard.view import View


def key_menu(
    label: str, key: str, choices: Sequence[tuple[str, str]], view: View, usual: str = "any"
) -> html.Details:
    """Choices of one key of the address, (value, words); `usual` is what stands there without it."""
    value = view.filters.get(key)
    shown = dict(choices).get(value, usual) if value else usual
    face: list[Any] = [label, " ", html.B(shown), components.icon("down", 12)]
    links = [
        html.A(text, href=f"?{key}={quote(name)}&page=", className="io-choice") for name, text in choices
    ]
    css = "io-chip on" if value and shown != usual else "io-chip"
    pop = html.Div(links, className="io-pop", role="group", **components.wild({"aria-label": label}))
    return html.Details([html.Summary(face, className=css), pop], className="io-menu")
