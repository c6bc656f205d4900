"""A course beside its number, without axes."""

from __future__ import annotations

from urllib.parse import quote

from dashboard import html
from dashboard.components import wild


def spark(values: list[float | None], says: str, width: int = 72, height: int = 18) -> html.Span:
    """A tiny line without axes, drawn as a mask so that it takes the theme's colour."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return html.Span("–", className="t3", title="too few values to draw")
    low, high = min(known), max(known)
    room = (high - low) or 1
    step = (width - 2) / max(1, len(values) - 1)
    dots = [
        f"{1 + i * step:.1f} {height - 2 - (v - low) / room * (height - 4):.1f}"
        for i, v in enumerate(values)
        if v is not None
    ]
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'><polyline points='{','.join(dots)}' "
        "fill='none' stroke='black' stroke-width='1.5' stroke-linejoin='round'/></svg>"
    )
    mask = f'url("data:image/svg+xml,{quote(svg)}")'
    size = {"width": f"{width}px", "height": f"{height}px", "maskImage": mask, "WebkitMaskImage": mask}
    return html.Span(className="io-spark", role="img", style=size, **wild({"aria-label": says}))
