"""Saved views over HTTP for the browser's menu (74-views.js), and the view that somebody starts with."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, jsonify, redirect, request

from backend.domain.errors import IopsError
from backend.services import views
from dashboard.context import Context
from dashboard.security import problem


def install(server: Flask, ctx: Context) -> None:
    """Routes /ui/views; the bare address leads to the view that was chosen to start with. Comes after sign-in."""

    @server.before_request
    def land() -> Any:
        wanted = request.headers.get("Sec-Fetch-Dest", "document") == "document"
        if request.method != "GET" or request.path != "/" or request.query_string or not wanted:
            return None
        address = views.landing(ctx.reads, g.person["name"])
        return redirect(address) if address and address != "/" else None

    @server.get("/ui/views")
    def listed() -> Response:
        return jsonify(views.views(ctx.reads, g.person["name"]))

    @server.post("/ui/views")
    def change() -> Response:
        asked = request.get_json(silent=True)
        if not isinstance(asked, dict) or not isinstance(asked.get("name"), str):
            return problem(400, "Malformed order", "It takes an object with action and name.")
        if ctx.config.read_only:
            return problem(403, "Read-only", "This dashboard is read-only")
        try:
            return jsonify(obey(ctx, g.person["name"], asked))
        except IopsError as refused:
            return problem(422, "Refused", str(refused))


def obey(ctx: Context, actor: str, asked: dict[str, Any]) -> dict[str, Any]:
    """save (with address), delete or pin the view of that name; all views as they then stand. Raises IopsError."""
    action, name, now_us = asked.get("action"), asked["name"], ctx.clock()
    if action == "delete":
        return views.delete(ctx.reads, actor, name, now_us)
    if action == "pin":
        return views.pin(ctx.reads, actor, name, now_us)
    return views.save(ctx.reads, actor, name, str(asked.get("address") or ""), now_us)
