"""Where an entity has its page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from backend.services.read_models import AlertRow
from dashboard import html
from dashboard.words import readable


def entity_href(entity_type: str, entity_id: str) -> str | None:
    """The page of an entity; a cell "algebra|west" is chosen on the supply page."""
    if entity_type in ("student", "tutor"):
        return f"/{entity_type}s/{quote(entity_id, safe='')}"
    if entity_type == "cell":
        return f"/supply?cell={quote(entity_id, safe='')}"
    if entity_type in ("subject", "region"):
        return f"/{entity_type}/{quote(entity_id, safe='')}"
    return "/data" if entity_type == "system" else None


def where(alert: AlertRow) -> Any:
    """The entity as a link to its page."""
    name = alert.entity_name
    if alert.entity_type == "cell" and alert.subject and alert.region:
        href: str | None = f"/supply?cell={quote(alert.subject + '|' + alert.region)}"
        name = f"{readable(alert.subject)}, {readable(alert.region)}"
    else:
        href = entity_href(alert.entity_type, alert.entity_id)
    kind = html.Span(alert.entity_type.capitalize(), className="t3")
    return [html.A(name, href=href) if href else html.Span(name), kind]
