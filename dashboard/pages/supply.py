"""The supply page."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard import components
from dashboard.context import Context
from dashboard.ids import SUPPLY
from dashboard.pages import page_named

PAGE = page_named("supply")


def layout() -> html.Div:
    return html.Div(
        components.empty("Nothing is shown here yet", "This page has no panels in this version."),
        id=SUPPLY.body,
        className="io-p",
    )


def register(app: Any, ctx: Context) -> None:
    """This page has no callbacks."""
