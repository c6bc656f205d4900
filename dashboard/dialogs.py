"""Dialogs of the frame: the sheet of shortcuts, and the question before demo data go."""

from __future__ import annotations

import dash_bootstrap_components as dbc

from dashboard import components, html
from dashboard.ids import SHELL

_KEYS = (
    ("Ctrl K or /", "find a student, tutor, subject, region or page"),
    ("J, K", "next, previous row of a list"),
    ("Enter", "open the row"),
    ("A", "acknowledge the row"),
    ("U", "undo the last action"),
    ("R", "refresh: ask for this page's data again"),
    ("P", "pause or resume"),
    ("T", "light or dark"),
    ("W", "wall mode: no navigation, larger type"),
    ("?", "this sheet"),
    ("Esc", "close what is open"),
)


def shortcuts() -> dbc.Modal:
    rows = [
        html.Tr([html.Th([html.Kbd(keys, className="io-kbd")], scope="row"), html.Td(does)])
        for keys, does in _KEYS
    ]
    single = components.preference("Single letters as shortcuts", "keys", (("on", "On"), ("off", "Off")))
    body = [html.Table(html.Tbody(rows), className="io-tbl"), html.Div(single, className="io-keys-switch")]
    return dbc.Modal(
        [
            dbc.ModalHeader(dbc.ModalTitle("Shortcuts", tag="h2", id=f"{SHELL.help_modal}-title")),
            dbc.ModalBody(body),
        ],
        id=SHELL.help_modal,
        labelledby=f"{SHELL.help_modal}-title",
        is_open=False,
        centered=True,
    )


def clear_demo_data() -> dbc.Modal:
    words = "Everything that was simulated is removed: events, students, tutors, alerts and what was computed from them. Your own events stay. This cannot be undone."
    foot = [
        html.Button("Keep it", id=SHELL.clear_cancel, className="io-btn", type="button"),
        html.Button("Remove demo data", id=SHELL.clear_ask, className="io-btn pri", type="button"),
    ]
    return dbc.Modal(
        [
            dbc.ModalHeader(dbc.ModalTitle("Clear demo data?", tag="h2", id=f"{SHELL.clear_modal}-title")),
            dbc.ModalBody(words),
            dbc.ModalFooter(foot),
        ],
        id=SHELL.clear_modal,
        labelledby=f"{SHELL.clear_modal}-title",
        is_open=False,
        centered=True,
    )
