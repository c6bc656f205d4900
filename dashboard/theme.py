"""Colours and base layout of every figure.

A colour here is the name of a token, `var(--io-d-1)`, not a value: charts.js puts in the values of the theme in force
just before Plotly draws. So one figure serves light, dark and high contrast, and a theme switch asks the server nothing.
"""

from __future__ import annotations

from typing import Any

TEXT, TEXT_2, TEXT_3 = "var(--io-text)", "var(--io-text-2)", "var(--io-text-3)"
SURFACE, LINE, LINE_2 = "var(--io-surface)", "var(--io-line)", "var(--io-line-2)"
DEMAND = GAIN = D1 = "var(--io-d-1)"
LOSS = D2 = "var(--io-d-2)"
D3, D4, D5 = "var(--io-d-3)", "var(--io-d-4)", "var(--io-d-5)"
SUPPLY = "var(--io-d-7)"
BAND_90, BAND_50, BASE = "var(--io-band-90)", "var(--io-band-50)", "var(--io-base)"
SHORT = "var(--io-short-fill)"
CRITICAL, CRITICAL_TEXT, CRITICAL_SOFT = "var(--io-crit-mark)", "var(--io-crit)", "var(--io-crit-soft)"
NEUTRAL = "var(--io-ok-mark)"
CLEAR = "rgba(0,0,0,0)"
COLORWAY = [D1, D2, D3, D4, D5]
SEQUENTIAL = [[i / 5, f"var(--io-s-{i + 1})"] for i in range(6)]
# -1 spare ... 0 balanced (wide grey middle) ... +1 short
DIVERGING = [
    [0.0, "var(--io-v-s3)"],
    [0.2, "var(--io-v-s2)"],
    [0.38, "var(--io-v-s1)"],
    [0.45, "var(--io-v-0)"],
    [0.55, "var(--io-v-0)"],
    [0.62, "var(--io-v-d1)"],
    [0.75, "var(--io-v-d2)"],
    [0.9, "var(--io-v-d3)"],
    [1.0, "var(--io-v-d4)"],
]
FONT = '"Inter Variable", system-ui, sans-serif'
CONFIG = {
    "displayModeBar": False,
    "responsive": True,
    "displaylogo": False,
    "doubleClick": "reset",
    "showTips": False,
}


def layout(revision: str = "stays", **changes: Any) -> dict[str, Any]:
    """The base layout. `revision` is `view.filters.key`: zoom is kept until filter or range change.

    `xaxis` and `yaxis` in `changes` are merged into the base ones, everything else replaces.
    """
    base: dict[str, Any] = {
        "font": {"family": FONT, "size": 11, "color": TEXT_3},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "colorway": COLORWAY,
        "margin": {"l": 30, "r": 10, "t": 8, "b": 20, "pad": 0},
        "showlegend": False,
        "hovermode": "x unified",
        "dragmode": False,
        "separators": ".,",
        "uirevision": revision,
        "hoverlabel": {
            "bgcolor": SURFACE,
            "bordercolor": LINE_2,
            "align": "left",
            "font": {"size": 12, "color": TEXT},
        },
        "xaxis": {
            "showgrid": False,
            "zeroline": False,
            "showline": True,
            "linecolor": LINE_2,
            "ticks": "",
            "tickfont": {"color": TEXT_3},
            "showspikes": True,
            "spikemode": "across",
            "spikethickness": 1,
            "spikecolor": BASE,
            "spikedash": "solid",
        },
        "yaxis": {
            "gridcolor": LINE,
            "zeroline": False,
            "showline": False,
            "ticks": "",
            "nticks": 3,
            "rangemode": "tozero",
            "fixedrange": True,
            "tickfont": {"color": TEXT_3},
        },
    }
    for axis in ("xaxis", "yaxis"):
        base[axis] |= changes.pop(axis, {})
    return base | changes
