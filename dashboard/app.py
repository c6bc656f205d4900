"""The web process's composition: Dash on Flask with sign-in, live push, look-ups and the pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from dash import Dash
from flask import Flask

from backend.services.access import Keys
from backend.services.channels import Telling
from backend.services.models import ModelShelf
from dashboard import (
    answers,
    bundle,
    frame,
    insight_card,
    live,
    lookup,
    markup,
    saved_views,
    security,
    sessions,
    shell,
    static_files,
)
from dashboard.context import Context, Feed, WebConfig
from dashboard.pages import modules

_INDEX = """<!DOCTYPE html>
<html lang="en" data-bs-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="What needs a person now: students at risk, shortages, calls and alerts of a tutoring marketplace.">
<title>{%title%}</title>
<script src="/assets/boot.js"></script>
{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def _index(config: WebConfig, head: str) -> str:
    """The document; live.js asks for tickets where changes are pushed from elsewhere."""
    push = '<meta name="io-push" content="ticket">\n' if config.push_origin else ""
    return _INDEX.replace("<title>", push + head + "<title>")


def create_app(
    reads: Any,
    clock: Callable[[], int],
    *,
    config: WebConfig,
    feed: Feed | None = None,
    people: sessions.People | None = None,
    keys: Keys | None = None,
    tickets: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    models: Callable[[], ModelShelf] | None = None,
    telling: Telling | None = None,
) -> Flask:
    """The WSGI application.

    `reads`: the store adapter, passed on to the services. `clock`: microseconds UTC. `feed`: follows changes for live push;
    without one the pages only refresh when asked. `people`: named access tokens beside the local one. `keys`: where ingest keys are
    kept, for the Settings page. `tickets`: what opens a WebSocket elsewhere for a person (address and ticket). `models`: opens the shelf of models, for their page. `telling`: channels and messages. The Dash object is at `app.config["dash"]` for tests.
    """
    server = Flask("dashboard")
    own = bundle.Bundle()
    options: Any = {  # wider than Dash's type stubs say
        "server": server,
        "update_title": None,
        "external_stylesheets": [own.style],
        "external_scripts": [own.script],
    }
    app = Dash(
        "dashboard",
        pages_folder="",
        use_pages=False,
        title="iOps Dashboard",
        assets_ignore=".*",
        suppress_callback_exceptions=True,
        index_string=_index(config, own.head),
        serve_locally=True,
        **options,
    )
    names = lookup.Names(reads)
    ctx = Context(
        reads,
        clock,
        config,
        label=names.label,
        keys=keys,
        models=models,
        telling=telling,
        answers=answers.Answers(clock()),
    )
    app.layout = lambda: markup.drawn(shell.layout(config, clock()))[0]
    frame.register(app, ctx, names)
    insight_card.register(app, ctx)
    for module in modules():
        module.register(app, ctx)
    policy: list[str] = []

    def content_policy() -> str:
        if not policy:  # once all inline scripts are known
            policy.append(security.content_policy([str(h) for h in app.csp_hashes()], config.push_origin))
        return policy[0]

    # after_request handlers run in reverse order: headers last, so compression is put in after them
    answers.install(server, ctx.answers)
    security.install(server, config, lambda: app.callback_map, content_policy)
    own.install(server)
    static_files.install(server)
    sessions.install(server, sessions.Sessions(config, people, clock))
    hub = live.Hub(feed, lambda: int(reads.last_change()))
    live.install(server, hub, config, tickets)
    lookup.install(server, ctx)
    saved_views.install(server, ctx)
    server.config.update(dash=app, hub=hub, ctx=dataclasses.replace(ctx))
    return server
