"""Every component id, so that no `Input` or `Output` holds a string literal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shell:
    """Ids of the frame around all pages. `location.search` is the one state of filters, range, mode, zone and open drawer."""

    location: str = "shell-location"
    live: str = "shell-live"  # store {"seq", "kinds", "at"}: set by live.js when data changed, or by a retry
    page: str = "shell-page"
    title: str = "shell-title"
    command: str = "shell-command"  # store: the alert command a button asked for
    result: str = "shell-result"  # store: what became of it; shell.js shows the toast
    toast: str = "shell-toast"  # store {"text", "level"}: a page may set it with dash.set_props
    sink: str = "shell-sink"  # where browser-side callbacks with no visible output end
    notice: str = "shell-notice"
    canonical: str = "shell-canonical"  # store: the corrected address
    trust: str = "shell-trust"
    alerts_count: str = "shell-alerts-count"
    range_label: str = "shell-range-label"
    zone_label: str = "shell-zone-label"
    mode_bar: str = "shell-mode-bar"
    filters_label: str = "shell-filters-label"
    demo: str = "shell-demo"
    clear_demo: str = "shell-clear-demo"
    clear_ask: str = "shell-clear-ask"
    clear_cancel: str = "shell-clear-cancel"
    clear_modal: str = "shell-clear-modal"
    clear_done: str = "shell-clear-done"
    help_modal: str = "shell-help-modal"
    help_open: str = "shell-help-open"

    def chip(self, kind: str) -> str:
        """Label of the filter chip of a kind: student, tutor, subject or region."""
        return f"shell-chip-{kind}"


@dataclass(frozen=True)
class PageIds:
    """Ids of one page: `NOW.part("queue")` is "now-queue"; `body` is what its data callback fills."""

    name: str

    @property
    def body(self) -> str:
        return f"{self.name}-body"

    def part(self, name: str) -> str:
        return f"{self.name}-{name}"

    def row(self, part: str, key: str) -> dict[str, str]:
        """Pattern-matching id of one of many like parts."""
        return {"type": f"{self.name}-{part}", "key": key}


SHELL = Shell()
NOW = PageIds("now")
STUDENTS = PageIds("students")
STUDENT = PageIds("student")
TUTORS = PageIds("tutors")
TUTOR = PageIds("tutor")
SUPPLY = PageIds("supply")
CALLS = PageIds("calls")
ALERTS = PageIds("alerts")
EXPLORE = PageIds("explore")
MODELS = PageIds("models")
LABEL = PageIds("label")
SIMULATOR = PageIds("simulator")
SUBJECT = PageIds("subject")
REGION = PageIds("region")
DATA = PageIds("data")
EVENTS = PageIds("events")
SYSTEM = PageIds("system")
SETTINGS = PageIds("settings")
