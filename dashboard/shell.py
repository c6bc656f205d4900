"""The frame around every page: rail, header, filter bar, mode bars, dialogs, stores. Layout only, no data."""

from __future__ import annotations

import json
from typing import Any

from dash import dcc

from dashboard import components, dialogs, html
from dashboard.components import button, icon, wild
from dashboard.context import WebConfig
from dashboard.filters import DEFAULT_RANGE, ENTITY_KINDS, RANGES
from dashboard.ids import SHELL
from dashboard.pages import PAGES, Page
from dashboard.zones import CHOICES

THEMES = (("system", "As the system"), ("light", "Light"), ("dark", "Dark"), ("contrast", "High contrast"))
NOTIFY = (("off", "Off"), ("on", "On"))
_PHONE = ("now", "alerts", "students", "data")


def layout(config: WebConfig, now_us: int) -> html.Div:
    """The whole document body. `now_us` lets the browser measure how far its own clock is off."""
    return html.Div(
        [
            dcc.Location(id=SHELL.location, refresh="callback-nav"),
            *(dcc.Store(id=name) for name in _STORES),
            html.Div(id=SHELL.sink, hidden=True),
            html.A("Skip to content", href="#main", className="io-skip"),
            html.Div([_rail(config), _body(config)], className="io-app"),
            _phone_bar(),
            html.Div(id="io-toasts", className="io-toasts", role="status", **wild({"aria-live": "polite"})),
            html.Button(
                "Leave wall mode",
                className="io-btn io-leave",
                type="button",
                **wild({"data-set": '{"kiosk":null}'}),
            ),
            dialogs.shortcuts(),
            dialogs.clear_demo_data(),
        ],
        id="io-root",
        **wild({"data-now": str(now_us)}),
    )


_STORES = (SHELL.live, SHELL.command, SHELL.result, SHELL.toast, SHELL.canonical, SHELL.clear_done)


def _rail(config: WebConfig) -> html.Nav:
    main = [_nav_link(page) for page in PAGES if page.rail and not page.admin]
    admin = [_nav_link(page) for page in PAGES if page.rail and page.admin]
    where = (
        f"{'Local engine' if config.runtime == 'local' else 'AWS ' + config.region}, version {config.version}"
    )
    demo = [html.B("Demo data", className="t2 fw5 demo-badge"), html.Br()]
    clear = [html.Button("Clear demo data", id=SHELL.clear_demo, className="io-link", type="button")]
    return html.Nav(
        [
            html.Div(
                [
                    html.Span(className="io-mark", **wild({"aria-hidden": "true"})),
                    html.Span("iOps Dashboard", className="lb"),
                ],
                className="io-brand",
            ),
            html.Div(main, className="io-nav"),
            html.Div("Admin", className="io-navh"),
            html.Div(admin, className="io-nav"),
            html.Div(
                [
                    html.Div([*demo, *clear], id=SHELL.demo, hidden=True),
                    html.Span(where),
                    html.Span(f", {config.stage}" if config.stage != "local" else ""),
                ],
                className="io-railfoot",
            ),
        ],
        className="io-rail",
        **wild({"aria-label": "Pages"}),
    )


def _nav_link(page: Page) -> html.A:
    count = html.Span(id=SHELL.alerts_count, className="n hot") if page.name == "alerts" else None
    return html.A(
        [icon(page.icon), html.Span(page.title, className="lb"), count],
        href=page.path,
        title=page.title,
        **wild({"data-nav": page.path}),
    )


def _phone_bar() -> html.Nav:
    first = [page for name in _PHONE for page in PAGES if page.name == name]
    rest = [page for page in PAGES if page.rail and page not in first]
    tools = [
        button("Search", sign="search", data_tool="find"),
        button("Help and shortcuts", sign="help", data_tool="help"),
    ]
    sheet = [
        html.Div([_phone_link(page) for page in rest], className="io-more-pages"),
        html.Div(tools, className="io-more-tools"),
        components.preference("Theme", "theme", THEMES),
    ]
    more = html.Details(
        [
            html.Summary([icon("more", 20), "More"]),
            html.Div(sheet, className="io-pop", role="group", **wild({"aria-label": "More pages and tools"})),
        ],
        className="io-menu io-more",
    )
    links = [_phone_link(page) for page in first]
    return html.Nav([*links, more], className="io-phonebar", **wild({"aria-label": "Main pages"}))


def _phone_link(page: Page) -> html.A:
    return html.A([icon(page.icon, 20), page.title], href=page.path, **wild({"data-nav": page.path}))


def _body(config: WebConfig) -> html.Div:
    head = html.Header(
        [_top(config), _filter_bar(), html.Div(id=SHELL.mode_bar), html.Div(id=SHELL.notice, role="status")],
        className="io-head",
    )
    return html.Div(
        [head, html.Main(html.Div(id=SHELL.page), className="io-main", id="main", tabIndex="-1")],
        className="io-body",
    )


def _place(config: WebConfig) -> html.Span | None:
    """Which deployment this is: people must not take one for another. Nothing on one's own machine."""
    if config.runtime == "local":
        return None
    words = [config.stage, config.region, *([config.account] if config.account else [])]
    return html.Span(
        [html.B(words[0]), html.Span(" · " + " · ".join(words[1:]), className="no-phone")],
        className="io-place",
        title="Stage, region and account of this deployment",
        **wild({"data-stage": config.stage}),
    )


def _top(config: WebConfig) -> html.Div:
    modes = html.Span(
        [_mode("live", "play", "Live"), _mode("paused", "pause", "Paused"), _at_menu()],
        className="io-seg no-phone",
        role="group",
        **wild({"aria-label": "Data mode"}),
    )
    theme = menu(
        icon("theme"),
        [_choice(label, data_pref="theme", data_value=value) for value, label in THEMES],
        label="Theme",
        css="io-btn quiet icon no-phone",
        right=True,
    )
    told = menu(
        icon("alerts"),
        [
            html.P("New critical alerts, told by the browser while this tab is in the background:"),
            *(_choice(label, data_pref="notify", data_value=value) for value, label in NOTIFY),
        ],
        label="Notifications",
        css="io-btn quiet icon no-phone",
        right=True,
    )
    return html.Div(
        [
            html.H1(id=SHELL.title, children="iOps Dashboard"),
            _place(config),
            html.Span(className="grow"),
            html.Div(id="io-find", className="io-find"),
            modes,
            html.A(
                "Connecting",
                id=SHELL.trust,
                href="/data",
                className="io-trust grey",
                **wild({"data-transport": ""}),
            ),
            html.Button(
                icon("retry"),
                className="io-btn quiet icon",
                type="button",
                title="Refresh (R)",
                **wild({"aria-label": "Refresh this page's data", "data-refresh": "page"}),
            ),
            told,
            theme,
            html.Button(
                icon("help"),
                id=SHELL.help_open,
                className="io-btn quiet icon no-phone",
                type="button",
                **wild({"aria-label": "Help and shortcuts"}),
            ),
        ],
        className="io-top",
    )


def _mode(name: str, sign: str, label: str) -> html.Button:
    return html.Button(
        [icon(sign, 12), label], type="button", **wild({"data-switch": name, "aria-pressed": "false"})
    )


def _at_menu() -> html.Details:
    presets = (
        ("10 min ago", 600),
        ("1 h ago", 3600),
        ("Yesterday, same time", 86400),
        ("A week ago", 604800),
    )
    body = [
        html.Label(["Moment", _moment("io-at")]),
        html.P(id="io-at-says", className="io-says", role="status"),
        button("Show that moment", kind="pri", data_at="io-at"),
        *(_choice(label, data_at_back=str(seconds)) for label, seconds in presets),
    ]
    return menu(
        [icon("timeline", 12), "At time"],
        body,
        label="Show the page as it was known then",
        css="io-seg-menu",
        data_switch="at",
    )


def _moment(id: str) -> dcc.Input:
    kind: Any = "datetime-local"  # the browser knows it, Dash's type stubs do not
    return dcc.Input(id=id, type=kind)


def menu(
    face: Any, body: Any, *, label: str, css: str = "io-chip", right: bool = False, **data: str
) -> html.Details:
    """A button that opens a small panel; closes on Escape, on a click outside and on a choice (shell.js)."""
    extra = wild({name.replace("_", "-"): value for name, value in data.items()})
    return html.Details(
        [
            html.Summary(
                face,
                className=css,
                role="button",
                **wild({"aria-label": label}) if isinstance(face, html.Span) else {},
                **extra,
            ),
            html.Div(
                body,
                className="io-pop" + (" right" if right else ""),
                role="group",
                **wild({"aria-label": label}),
            ),
        ],
        className="io-menu" + (" no-phone" if "no-phone" in css else ""),
    )


def _choice(label: str, **data: str) -> html.Button:
    return html.Button(
        label,
        className="io-choice",
        type="button",
        **wild({name.replace("_", "-"): v for name, v in data.items()}),
    )


def _filter_bar() -> html.Div:
    chips = [
        html.Div(
            [
                html.Button(
                    id=SHELL.chip(kind),
                    className="io-chip",
                    type="button",
                    children=[kind.capitalize(), " ", html.B("any"), icon("down", 12)],
                    **wild({"data-pick": kind, "aria-haspopup": "listbox", "aria-expanded": "false"}),
                )
            ],
            className="io-menu",
        )
        for kind in ENTITY_KINDS
    ]
    ranges = [
        _choice(
            text[:1].upper() + text[1:],
            data_set=json.dumps({"range": None if key == DEFAULT_RANGE else key, "from": None, "to": None}),
        )
        for key, (_, text) in RANGES.items()
    ]
    absolute = [
        html.Label(["From", _moment("io-from")]),
        html.Label(["To", _moment("io-to")]),
        html.P(id="io-range-says", className="io-says", role="status"),
        button("Apply", kind="pri", data_absolute="1"),
    ]
    zones = [_choice(label, data_set=json.dumps({"zone": value or None})) for value, label in CHOICES]
    return html.Div(
        [
            html.Button(
                ["Filters ", html.B("none", id=SHELL.filters_label)],
                className="io-chip only-phone",
                type="button",
                **wild({"data-toggle": "filters", "aria-expanded": "false"}),
            ),
            html.Div(
                [
                    *chips,
                    html.Button(
                        "Clear all",
                        className="io-btn quiet io-clear",
                        type="button",
                        **wild({"data-clear": "1"}),
                    ),
                ],
                className="io-filters",
            ),
            html.Button(
                [icon("play", 12), html.B("Live", className="io-mode-word")],
                className="io-chip only-phone",
                type="button",
                **wild({"data-switch": "toggle", "aria-label": "Live or paused"}),
            ),
            menu(
                [icon("cal", 14), html.B("Last 24 h", id=SHELL.range_label), icon("down", 12)],
                [html.Div(ranges, className="io-choices"), html.Div(absolute, className="io-absolute")],
                label="Time range",
            ),
            menu(
                [html.Span("", id=SHELL.zone_label), icon("down", 12)],
                zones,
                label="Time zone",
                css="io-chip tz",
            ),
            html.Span(className="grow"),
            html.Span(className="io-stamp no-phone wide", id="io-clock"),
            menu(
                [icon("star", 14), html.Span("Save view")],
                html.Div(id="io-views", className="io-views"),
                label="Saved views",
                css="io-btn quiet no-phone",
                right=True,
            ),
            html.Button(
                [icon("share", 14), "Share"],
                className="io-btn quiet no-phone",
                type="button",
                **wild({"data-share": "1"}),
            ),
        ],
        className="io-filter",
        role="group",
        **wild({"aria-label": "Filters"}),
    )
