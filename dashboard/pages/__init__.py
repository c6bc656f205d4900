"""The pages, registered one by one, and how to write one.

A page file holds PAGE, layout(), register(app, ctx) and pure helpers, in this order. Copy now.py.
- layout() is cheap, takes nothing and reads nothing: `markup.holder(IDS, components.loading())` plus the page's own
  controls. It runs once at start too, to check ids. Ids: `dashboard/ids.py`, one PageIds per page.
- One data callback per page (or per group of panels), a one-line closure over ctx, with exactly these inputs:
      @app.callback(markup.filled(X), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
      def refresh(search, _live): view = ctx.view(search); return markup.nodes(ctx.guarded("Calls", lambda: body(ctx.reads, view)))
  A body with fields or buttons that a callback names is an `html.Div(..., id=IDS.body)`, answered with
  `Output(X.body, "children")` and `markup.drawn(...)`: slower, as Dash makes it anew. What may be absent is None, so that
  what follows keeps its place; rows that move have a `key`.
  A detail page adds Input(SHELL.location, "pathname") and takes the id with `entity_id(pathname)`.
- Scope: `view.scope` goes to backend.services.queries; `view.filters.get("open"|"tab"|"q"|"sort"...)` are the page's own keys
  of the address (filters.PAGE_KEYS). `view.zone` writes times, `view.scope_text` says what was asked, `view.now_us` is now.
  What its `tab`, `sort`, `type` and so on (choices.JUDGED) may be, a page says in `choices(ctx, view)`; other values are said
  and removed.
- To change the address: `components.query_link(...)` or any `html.A(href="?open=al_1")`: it merges into the query, an empty
  value removes the key. Links to other pages are plain `html.A(href="/students/st_1")`; shell.js keeps the filters on them.
- Live: SHELL.live changes at most twice a second, only when data changed, never while a refresh is under way, never when
  paused, hidden or at a past time. Return the whole new body; keep row keys and component ids stable.
- Panels: `components.panel(title_is_the_finding, body, view, stamp_us=..., export="name")`; figures: figures.py and
  comparisons.py through `components.graph(figure, sentence, height)`, with `view.filters.key` as revision (keeps the zoom).
  Long lists: lists.list_panel(...) and lists.answer(...). Exports: `ctx.exports["name"] = lambda view: frames.flat(rows)` serves /export/name.csv.
- Drawer: `html.Div([list, components.drawer(...)], className="io-with-drawer")`, open while `view.filters.get("open")`.
- Alert commands: `components.command_button("Acknowledge", alert, "ack", view)`: sends, shows "sending", toasts with
  Undo, refreshes. Other commands: your own callback on n_clicks; check `view.forbidden`; say the result with
  `dash.set_props(SHELL.toast, {"data": {"text": "Started"}})` and set `level` to "error" if it failed.
- Page title: `dash.set_props(SHELL.title, {"children": [html.A("Students", href="/students"), " / ", name]})`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from urllib.parse import unquote


@dataclass(frozen=True)
class Page:
    """Where a page lives. A path that ends in "/" is a detail page and matches one more part, the entity's id."""

    name: str
    path: str
    title: str
    icon: str = "data"
    rail: bool = True
    admin: bool = False


_NAMES = (
    "now",
    "students",
    "student",
    "tutors",
    "tutor",
    "supply",
    "subject",
    "region",
    "calls",
    "alerts",
    "explore",
    "models",
    "label",
    "simulator",
    "data",
    "events",
    "system",
    "settings",
)


def modules() -> list[ModuleType]:
    """The page modules in the order of the rail."""
    return [importlib.import_module(f"dashboard.pages.{name}") for name in _NAMES]


PAGES: tuple[Page, ...] = (
    Page("now", "/", "Now", "now"),
    Page("students", "/students", "Students", "students"),
    Page("student", "/students/", "Student", "students", rail=False),
    Page("tutors", "/tutors", "Tutors", "tutors"),
    Page("tutor", "/tutors/", "Tutor", "tutors", rail=False),
    Page("supply", "/supply", "Supply", "supply"),
    Page("subject", "/subject/", "Subject", "supply", rail=False),
    Page("region", "/region/", "Region", "supply", rail=False),
    Page("calls", "/calls", "Calls", "calls"),
    Page("alerts", "/alerts", "Alerts", "alerts"),
    Page("explore", "/explore", "Explore", "timeline"),
    Page("models", "/models", "Models", "models", admin=True),
    Page("label", "/label", "Label", "models", rail=False),
    Page("simulator", "/simulator", "Simulator", "simulator", admin=True),
    Page("data", "/data", "Data", "data", admin=True),
    Page("events", "/events", "Events", "table", admin=True),
    Page("system", "/system", "System", "status", admin=True),
    Page("settings", "/settings", "Settings", "settings", admin=True),
)


def page_named(name: str) -> Page:
    return next(page for page in PAGES if page.name == name)


def page_at(pathname: str | None) -> Page | None:
    """The page of a path; "/alerts/ID" belongs to the alert list, which opens it; None: no such page."""
    path = "/" + (pathname or "/").strip("/")
    for page in PAGES:
        if path == (page.path.rstrip("/") or "/") and (page.path == "/" or not page.path.endswith("/")):
            return page
    head, _, tail = path.strip("/").partition("/")
    if tail and "/" not in tail:
        return next(
            (p for p in PAGES if p.path == f"/{head}/" or (head == "alerts" and p.name == "alerts")), None
        )
    return None


def entity_id(pathname: str | None) -> str:
    """The last part of "/students/st_1"."""
    return unquote((pathname or "").rstrip("/").rpartition("/")[2])
