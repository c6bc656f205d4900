"""How to send the first event: a command to copy, with the address and the key of this installation."""

from __future__ import annotations

import json
import shlex
from typing import Any

from backend.domain.times import iso
from dashboard import components, html
from dashboard.components import wild
from dashboard.context import WebConfig
from dashboard.view import View

LOCAL_API = (
    "http://127.0.0.1:8051"  # where the API of a local installation listens unless it was told otherwise
)
_ELEMENT = "data-first-event"
_WELCOME = "now-first-event"


def api_url(config: WebConfig) -> str:
    """Base address of the HTTP API, from the configuration where it tells one."""
    return (config.api_url or LOCAL_API).rstrip("/")


def command(config: WebConfig, now_us: int) -> str:
    """A shell command that sends one completed session; a shell can run it as it stands."""
    event = {
        "event_type": "session_completed",
        "occurred_at": iso(now_us),
        "payload": {
            "session_id": "ses_1",
            "student_id": "stu_1",
            "student_name": "Maya R.",
            "tutor_id": "tut_1",
            "tutor_name": "Grace O.",
            "subject": "algebra",
            "region": "west",
            "rating": 5,
            "actual_duration_minutes": 60,
        },
    }
    key = f"$(cat {shlex.quote(config.key_file)})" if config.key_file else "$IOPS_INGEST_KEY"
    return (
        f"curl -sS {api_url(config)}/v1/events \\\n  -H 'Content-Type: application/json' \\\n  -H \"X-API-Key: {key}\" \\\n"
        f"  -d '{json.dumps(event, separators=(',', ':'))}'"
    )


def sample_command(config: WebConfig) -> str:
    """A shell command that posts one number of a series."""
    key = f"$(cat {shlex.quote(config.key_file)})" if config.key_file else "$IOPS_INGEST_KEY"
    sample = json.dumps({"source": "web-1", "name": "cpu_usage", "value": 41.5, "unit": "%"})
    return f"curl -sS {api_url(config)}/v1/metrics \\\n  -H 'Content-Type: application/json' \\\n  -H \"X-API-Key: {key}\" \\\n  -d '{sample}'"


def welcome(config: WebConfig, view: View) -> list[Any]:
    """In place of what needs a person while no event ever came: how one comes, with the command at hand."""
    empty = components.empty(
        "No event yet",
        "Students, tutors and cells (a subject in a region) appear with their events, and rules watch them from then on.",
        [
            html.A("How to send the first event", href="/data", className="io-btn pri"),
            html.A("Start the simulator", href="/simulator", className="io-btn"),
        ],
        "students",
    )
    told = html.Pre(
        command(config, view.now_us),
        className="data-code",
        tabIndex=0,
        **wild({"aria-label": "Command that sends one event", "data-copied": _WELCOME}),
    )
    head = html.Div(
        [
            html.Span("Or from a terminal:", className="t2 fs12 grow"),
            components.button("Copy", data_copy=_WELCOME),
        ],
        className="row-f",
    )
    return [empty, html.Div([head, told], className="io-pad now-first")]


def panel(config: WebConfig, view: View, nothing_yet: bool) -> html.Section:
    """The command with a copy button, and where the API is described."""
    title = "Send the first event" if nothing_yet else "Send an event of your own"
    docs = html.A("API description", href=f"{api_url(config)}/docs", target="_blank", rel="noopener")
    schema = html.A("OpenAPI", href=f"{api_url(config)}/openapi.json", target="_blank", rel="noopener")
    copy = components.button("Copy", kind="pri" if nothing_yet else "", data_copy=_ELEMENT)
    body: list[Any] = [
        html.P(
            "Paste this into a terminal on this machine. The event shows on every page within seconds."
            if config.key_file
            else "Set IOPS_INGEST_KEY to a key made with `iops keys`, then paste this into a terminal.",
            className="t2 fs12",
        ),
        html.Pre(
            command(config, view.now_us),
            id=_ELEMENT,
            className="data-code",
            tabIndex=0,
            **wild({"aria-label": "Command that sends one event"}),
        ),
    ]
    return components.panel(
        title,
        html.Div(body, className="io-pad"),
        view,
        span="",
        end=copy,
        foot=html.Span([docs, ", ", schema]),
        className="data-first",
    )
