"""Who is looking: a token becomes a signed cookie, a role comes with it. Deny by default on every path."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, g, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from dashboard.context import WebConfig
from dashboard.security import embedded, problem

FRAME_SECONDS = 24 * 3600
FRAME_COOKIE = "__Host-iops-frame"  # infra/website.py lets it past the login of the balancer
OPEN_PATHS = ("/healthz", "/login")
_OPEN_ASSETS = (".css", ".woff2", ".js", ".svg", ".ico")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · iOps Dashboard</title><style>body{{font:15px/24px system-ui,sans-serif;margin:12vh auto;max-width:26rem;padding:0 1rem;
color:#12171e;background:#f4f5f7}}@media(prefers-color-scheme:dark){{body{{color:#e8ebf0;background:#0c0f14}}}}input,button{{font:inherit;
padding:.4rem .6rem;border-radius:6px;border:1px solid #838d9a}}input{{width:100%;box-sizing:border-box;margin:.25rem 0 .75rem}}
button{{background:#2a55cf;color:#fff;border-color:#2a55cf}}.bad{{font-weight:600}}</style></head><body><main><h1>iOps Dashboard</h1>
<p>{words}</p><form method="post" action="/login"><label for="t">Access token</label>
<input id="t" name="token" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{next}"><button>Open the dashboard</button></form>
<p>The token is in the address that was printed at the start; <code>iops url</code> prints it again.</p></main></body></html>"""


class People(Protocol):
    """Named access tokens (`iops users`). Revoking one ends its open sessions within seconds."""

    def find(self, secret: bytes, now_us: int) -> Any: ...

    def living(self, key_id: str) -> Any: ...


class Sessions:
    """Signs and reads session cookies. The cookie holds a random id, a name, a role and the token's id; never the token."""

    def __init__(
        self, config: WebConfig, people: People | None = None, clock: Callable[[], int] = lambda: 0
    ) -> None:
        self.config = config
        self._people = people
        self._clock = clock
        key = config.secret or hashlib.sha256(b"iops session cookie\0" + config.token.encode()).hexdigest()
        self._serializer = URLSafeTimedSerializer(key, salt="iops-session")
        self.cookie = "__Host-iops" if config.tls else "iops"
        # Of frames in pages of others: sent there too, kept apart by page, and good for looking only.
        self.frame_cookie = FRAME_COOKIE

    def person(self) -> dict[str, str] | None:
        """{"id", "name", "role"} of the request: from the cookie, or from a bearer token; None: nobody known."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (known := self.accepts(token.strip())):
            return {"id": "bearer", **known}
        own = self._read(self.cookie, self.config.session_days * 86_400)
        if own is not None or not self.config.embed_origins:
            return own
        return self._read(self.frame_cookie, FRAME_SECONDS, salt=self.frame_cookie)

    def _read(self, cookie: str, max_age: int, salt: str | None = None) -> dict[str, str] | None:
        try:
            person = self._serializer.loads(request.cookies.get(cookie, ""), max_age=max_age, salt=salt)
        except BadSignature:
            return None
        return person if isinstance(person, dict) and person.get("role") and self._still(person) else None

    def accepts(self, token: str) -> dict[str, str] | None:
        """{"name", "role", "key"} of whoever holds this token; None when nobody does."""
        if self.config.token and hmac.compare_digest(token.encode(), self.config.token.encode()):
            return {"name": "local", "role": "admin", "key": ""}
        found = self._people.find(token.encode(), self._clock()) if self._people and token else None
        if found is None or found.kind != "access":
            return None
        return {"name": found.name, "role": found.role, "key": found.key_id}

    def _still(self, person: dict[str, str]) -> bool:
        """Whether the token that opened this session is still good; the local one always is."""
        key = person.get("key")
        return not key or (self._people is not None and self._people.living(key) is not None)

    def open_in_frame(self, response: Response, known: dict[str, str]) -> Response:
        """Puts a session on the response that may only look, for a frame in somebody else's page."""
        person = {"id": secrets.token_urlsafe(18), **known, "role": "viewer"}
        value = self._serializer.dumps(person, salt=self.frame_cookie)
        response.set_cookie(
            self.frame_cookie,
            str(value),
            max_age=FRAME_SECONDS,
            httponly=True,
            samesite="None",
            secure=True,
            partitioned=True,
            path="/",
        )
        return response

    def open(self, response: Response, known: dict[str, str]) -> Response:
        """Puts a new session of this person on the response."""
        value = self._serializer.dumps({"id": secrets.token_urlsafe(18), **known})
        age = self.config.session_days * 86_400
        response.set_cookie(
            self.cookie,
            str(value),
            max_age=age,
            httponly=True,
            samesite="Lax",
            secure=self.config.tls,
            path="/",
        )
        return response


def install(server: Flask, sessions: Sessions) -> None:
    """Guards every path; /login takes a pasted token; `?token=` anywhere becomes the cookie and leaves the address."""

    @server.before_request
    def who() -> Response | None:
        g.person = sessions.person()
        given = request.args.get("token")
        if given is not None and request.method == "GET":
            if known := sessions.accepts(given):
                begin = sessions.open_in_frame if embedded(sessions.config) else sessions.open
                return begin(_plain_redirect(_without_token()), known)
            return None if g.person else _sign_in("That token is not the one of this dashboard.", 401)
        if g.person or request.path in OPEN_PATHS or _harmless_asset():
            return None
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return _sign_in("", 401)
        return problem(
            401,
            "Not signed in",
            "Open the dashboard by its printed address, or send the token as a bearer token.",
        )

    @server.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @server.route("/login", methods=["GET", "POST"])
    def login() -> Response:
        if request.method == "GET":
            return _plain_redirect("/") if g.person else _sign_in("", 200)
        known = sessions.accepts(request.form.get("token", "").strip())
        if known is None:
            return _sign_in("That token is not the one of this dashboard.", 401)
        return sessions.open(_plain_redirect(_own_path(request.form.get("next", "/"))), known)


def _harmless_asset() -> bool:
    return (
        request.path.startswith("/assets/")
        and request.path.endswith(_OPEN_ASSETS)
        and request.method == "GET"
    )


def _without_token() -> str:
    rest = [(key, value) for key, value in request.args.items(multi=True) if key != "token"]
    return _own_path(request.path) + ("?" + urlencode(rest) if rest else "")


def _own_path(target: str) -> str:
    """`target` if it stays on this host, else the start page."""
    parts = urlsplit(target)
    inside = (
        target.startswith("/")
        and not target.startswith(("//", "/\\"))
        and not parts.netloc
        and target.isprintable()
    )
    return target if inside else "/"


def _plain_redirect(target: str) -> Response:
    return redirect(target, code=303)  # type: ignore[return-value]  # werkzeug's base class


def _sign_in(words: str, status: int) -> Response:
    from markupsafe import escape

    target = "/" if request.path == "/login" else _without_token()
    text = _PAGE.format(
        words=f'<span class="bad">{escape(words)}</span>' if words else "", next=escape(target)
    )
    return Response(text, status, content_type="text/html; charset=utf-8")
