"""Numbers on coloured cells can be read in both themes: contrast by WCAG 2.2 (1.4.3), computed from the tokens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.activity_map import LIGHT_FROM, STEPS

_TOKENS = Path("dashboard/assets/10-tokens.css")
_ENOUGH = 4.5


def tokens(theme: int) -> dict[str, str]:
    """Colours by token name: theme 0 is light, 1 dark, in the order in which the sheet defines them."""
    found: dict[str, list[str]] = {}
    for name, colour in re.findall(r"--io-([a-z0-9-]+):\s*(#[0-9a-f]{6})\b", _TOKENS.read_text()):
        found.setdefault(name, []).append(colour)
    return {name: colours[theme] for name, colours in found.items() if len(colours) > theme}


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_counts_of_sessions_can_be_read_on_their_cell(theme: int, step: int) -> None:
    colours = tokens(theme)
    text = colours["surface" if step >= LIGHT_FROM else "text"]
    assert contrast(text, colours[f"s-{step}"]) >= _ENOUGH


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
