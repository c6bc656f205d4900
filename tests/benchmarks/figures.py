"""How benchmarks print: one figure a line, its unit, and its target beside it with whether this run met it."""

from __future__ import annotations

from collections.abc import Sequence


def figure(
    name: str, value: float, unit: str, *, at_least: float | None = None, at_most: float | None = None
) -> None:
    """One line. Without a target the figure is there to compare others with."""
    target = ""
    if at_least is not None:
        target = f"target >= {at_least:,g}: {'met' if value >= at_least else 'missed'}"
    if at_most is not None:
        target = f"target <= {at_most:,g}: {'met' if value <= at_most else 'missed'}"
    digits = 0 if abs(value) >= 1_000 else 1 if abs(value) >= 10 else 2
    print(f"  {name:<58} {value:>12,.{digits}f} {unit:<9} {target}".rstrip(), flush=True)


def share(values: Sequence[float], part: float) -> float:
    """The value below or at which `part` (0..1) of the values lie, without interpolation."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
