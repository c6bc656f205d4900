"""The point of view of one answer: what the address asks for, what time it is, who is looking."""

from __future__ import annotations

from dataclasses import dataclass, field

from backend.services.read_models import Scope
from dashboard.filters import Filters, window_text
from dashboard.zones import Zone

NOW = "now"  # the window of panels that show how things stand
ALL_STREAMS = "All streams"  # begins the window of a panel that counts what came in, whatever the filter


@dataclass(frozen=True)
class View:
    """One answer's point of view: the filters, the scope for the read side, the zone, and the person."""

    filters: Filters
    scope: Scope
    zone: Zone
    now_us: int
    actor: str = "local"
    role: str = "admin"
    read_only: bool = False
    notices: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)  # filter kind -> name of the chosen entity
    place: str = ""  # what the page itself is about, where that takes the place of the filters
    computed_us: int = 0  # by the real clock; `now_us` is the chosen moment when the past is looked at

    @property
    def filter_text(self) -> str:
        if self.place:
            return self.place
        chosen = [self.labels.get(kind, value) for kind, value in self.filters.chosen.items()]
        return ", ".join(chosen) or "All work"

    @property
    def scope_text(self) -> str:
        """Filter and window in words, for a panel's foot: "Algebra, West, last 24 h"."""
        return f"{self.filter_text}, {window_text(self.filters, self.zone)}"

    @property
    def computed_when(self) -> str:
        """When it was worked out: "Computed 09:14:05 UTC"."""
        at = self.computed_us or self.now_us
        return f"Computed {self.zone.seconds(at)} {self.zone.short(at)}"

    def computed_text(self, span: str | None = None) -> str:
        """Filter, window and when. `span` is the window of a panel that has one of its own, in words; empty: it has neither."""
        if span == "":
            return self.computed_when
        if span == NOW and self.scope.time_travel:
            span = f"as of {self.zone.moment(self.scope.at_us)}"
        if span is not None and span.startswith(ALL_STREAMS):
            return f"{span}. {self.computed_when}"
        told = self.scope_text if span is None else f"{self.filter_text}, {span}"
        return f"{told}. {self.computed_when}"

    @property
    def forbidden(self) -> str | None:
        """Why this person cannot change anything here; None if they can."""
        if self.read_only:
            return "This dashboard is read-only"
        if self.role == "viewer":
            return "Viewers cannot change anything; ask an administrator for the operator role"
        if self.filters.at_us is not None:
            return "The past cannot be changed; go back to live first"
        return None
