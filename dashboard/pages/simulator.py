"""The simulator page."""

from __future__ import annotations

from typing import Any

from dash import html

from dashboard import components
from dashboard.context import Context
from dashboard.ids import SIMULATOR
from dashboard.pages import page_named

PAGE = page_named("simulator")


def layout() -> html.Div:
    return html.Div(
        components.empty("Nothing is shown here yet", "This page has no panels in this version."),
        id=SIMULATOR.body,
        className="io-p",
    )


def register(app: Any, ctx: Context) -> None:
    """This page has no callbacks."""
