"""What every answer carries and every request must satisfy: headers, host names, origins, sizes, well-formed callbacks."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from dash.exceptions import DependencyException
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from backend.services import intake
from backend.services.announcements import during
from dashboard.context import WebConfig

log = logging.getLogger(__name__)
MAX_BODY = 2 * 1024 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
_CALLBACK = "/_dash-update-component"
_NAMING = ("x-request-id", "traceparent")  # headers in which a proxy may have named the request already
_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "iops",
}


def content_policy(script_hashes: list[str], push_origin: str = "") -> str:
    """The content security policy; inline scripts only by hash, no eval, nothing from another host but pushes of changes."""
    scripts = " ".join(["'self'", *(f"{h}" for h in script_hashes)])
    connect = f"'self' {push_origin}".strip()
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"font-src 'self'; connect-src {connect}; worker-src 'self' blob:; base-uri 'none'; object-src 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def _asks_for_health() -> bool:
    """A balancer asks a task by its address, whatever name people know; an address cannot be a name that was turned on us."""
    try:
        ip_address(host_of(request.host).strip("[]"))
    except ValueError:
        return False
    return request.path == "/healthz"


def problem(status: int, title: str, detail: str) -> Response:
    """An RFC 9457 answer; nothing of the request is repeated in it."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": [],
        "request_id": g.get("request_id", ""),
    }
    return Response(json.dumps(body), status, content_type="application/problem+json; charset=utf-8")


def install(
    server: Flask, config: WebConfig, callbacks: Callable[[], dict[str, Any]], policy: Callable[[], str]
) -> None:
    """First guards (before sign-in) and last headers. `callbacks` is Dash's map of outputs, `policy` the content policy."""
    server.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    allowed = {*LOOPBACK, *config.hosts}

    @server.before_request
    def acceptable() -> Response | None:
        said = {name: request.headers.get(name, "").encode("latin-1", "replace") for name in _NAMING}
        named = intake.request_id({name.encode(): value for name, value in said.items() if value})
        g.request_id = named or secrets.token_hex(8)
        g.meanwhile = during(g.request_id)  # what a command changes goes back to it
        g.meanwhile.__enter__()
        if host_of(request.host) not in allowed and "*" not in allowed and not _asks_for_health():
            return problem(
                421,
                "Unknown host",
                "This dashboard does not answer under that host name; see IOPS_ALLOWED_HOSTS.",
            )
        if request.method not in ("GET", "HEAD", "OPTIONS") and not own_origin(config):
            return problem(403, "Other origin", "Only this dashboard's own pages may send that.")
        if ".." in request.path or "\x00" in request.path:
            return problem(404, "Not found", "There is nothing under that address.")
        return None

    @server.teardown_request
    def over(_: BaseException | None) -> None:
        meanwhile = g.pop("meanwhile", None)
        if meanwhile is not None:
            meanwhile.__exit__(None, None, None)

    @server.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        if isinstance(error, HTTPException):
            code = error.code or 500
            return problem(
                code, error.name, "There is nothing under that address." if code == 404 else error.name
            )
        if isinstance(error, DependencyException):  # a script name that Dash does not serve
            return problem(404, "Not found", "There is nothing under that address.")
        log.exception("request %s failed", g.get("request_id", ""))
        return problem(500, "Failed", "Something broke here; the log has more under this request id.")

    @server.after_request
    def headers(response: Response) -> Response:
        for name, value in _FIXED.items():
            response.headers[name] = value
        response.headers["Content-Security-Policy"] = policy()
        if embedded(config):
            _let_frame(response, config)
        if config.tls:
            response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        response.headers.setdefault("X-Request-Id", g.get("request_id", ""))
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response

    @server.before_request
    def well_formed() -> Response | None:
        if request.path == _CALLBACK and request.method == "POST":
            fault = callback_fault(request.get_data(cache=True), callbacks())
            if fault:
                return problem(400, "Malformed callback", fault)
        return None


def embedded(config: WebConfig) -> bool:
    """Whether a page is asked for that somebody else's page shows in a frame, and some may."""
    return bool(config.embed_origins) and request.args.get("embed") == "1"


def _let_frame(response: Response, config: WebConfig) -> None:
    """Let the configured origins, and nobody else, show this answer in a frame."""
    policy = response.headers["Content-Security-Policy"]
    allowed = f"frame-ancestors {' '.join(config.embed_origins)}"
    response.headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'none'", allowed)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    del response.headers["X-Frame-Options"]  # it knows no list of origins


def host_of(host: str) -> str:
    """The name in a Host header without its port; IPv6 stays in brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def own_origin(config: WebConfig) -> bool:
    """No Origin (not a browser's cross-site request, then the cookie is SameSite), or this host's, or a configured one."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
    parts = urlsplit(origin)
    return (parts.scheme in ("http", "https") and parts.netloc == request.host) or origin in config.origins


def callback_fault(body: bytes, callbacks: dict[str, Any]) -> str | None:
    """What is wrong with the body of a Dash callback request, or None. Dash itself answers these with 500."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return "The body is not JSON."
    if not isinstance(data, dict):
        return "The body is not an object."
    output = data.get("output")
    known = callbacks.get(output) if isinstance(output, str) else None
    if known is None or "callback" not in known:
        return "There is no such output."
    for part in ("inputs", "state"):
        given, wanted = data.get(part, []), known.get(part, [])
        if not isinstance(given, list) or len(given) != len(wanted):
            return f"The number of {part} differs."
        for item in given:
            if not (
                isinstance(item, list) or (isinstance(item, dict) and "id" in item and "property" in item)
            ):
                return f"The {part} have another shape."
    if not isinstance(data.get("outputs"), (dict, list)):
        return "The outputs have another shape."
    if not isinstance(data.get("changedPropIds", []), list):
        return "The changed properties are not a list."
    return None
