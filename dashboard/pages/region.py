"""Region: how one region is doing, with its students, tutors, supply and alerts. The panels are in dashboard/place.py."""

from __future__ import annotations

from typing import Any

from dashboard import html, place
from dashboard.context import Context
from dashboard.ids import REGION
from dashboard.pages import page_named

PAGE = page_named("region")


def layout() -> html.Div:
    return place.skeleton(REGION)


def register(app: Any, ctx: Context) -> None:
    place.register(app, ctx, REGION, "region")
