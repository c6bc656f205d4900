"""Commands over HTTP: alerts, insights and the simulator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from backend.domain.errors import Conflict, Forbidden, InvalidEvent, NotFound, Violation
from backend.domain.insights import HIGH_RISK
from backend.domain.times import MINUTE, to_us
from backend.http_api import ALERT_ACTIONS
from backend.runtime.api_context import Api, Call, bad
from backend.runtime.api_read import plain, reply
from backend.runtime.replies import Denied, Reply
from backend.services import alerting, erasing, insights, mending, partner, simulation

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class AlertCommand(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of an alert command. `version` is the one that was seen; `until` or `minutes` go with snooze."""

    version: int | None = None
    note: str | None = None
    verdict: str | None = None
    owner: str | None = None
    until: str | None = None
    minutes: float | None = None


class SimulatorCommand(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of a simulator command; settings may come with any action."""

    action: str
    scenario: str | None = None
    rate: float | None = None
    streams: int | None = None
    speed: float | None = None
    seed: int | None = None
    count: int | None = None


class InsightRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of a request to explain somebody. A cell's id is `subject|region`."""

    entity_type: Literal["student", "tutor", "cell"]
    entity_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class InsightFeedback(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of feedback on an insight. `verdict`: accepted or dismissed (with a reason); `outcome`: churned or stayed."""

    verdict: str | None = None
    reason: str | None = None
    outcome: str | None = None


class OutboundAlert(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of what the partner is to be told. `risk_score`: 0 to 100."""

    entity_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    risk_score: Annotated[float, msgspec.Meta(ge=0, le=100)]
    entity_type: Literal["student", "tutor", "cell"] = "student"
    explanation: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    recommendations: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=500)]], msgspec.Meta(max_length=10)
    ] = []


class RejectReplay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of a replay. `body` is the corrected item, as JSON or as its text; without it the item is sent as it came."""

    body: dict[str, Any] | list[Any] | str | None = None


def alert_command(api: Api, call: Call) -> Reply:
    _writable(api)
    if call.path["action"] not in ALERT_ACTIONS:
        raise bad("action", f"is not one of: {', '.join(ALERT_ACTIONS)}")
    body = _body(call, AlertCommand)
    expected = _expected(call, body.version)
    try:
        row = alerting.command(
            api.store,
            call.path["id"],
            call.path["action"],
            actor=call.actor,
            now_us=call.now_us,
            version=expected,
            note=body.note,
            verdict=body.verdict,
            owner=body.owner,
            until_us=_until(body, call.now_us),
        )
    except Conflict as conflict:
        if call.if_match:
            raise Denied(412, "version", str(conflict)) from None
        raise Conflict(str(conflict), plain(conflict.current)) from None
    answer = reply(plain(row))
    return msgspec.structs.replace(answer, headers=((b"etag", b'"%d"' % row.version),))


def ask_insight(api: Api, call: Call) -> Reply:
    _writable(api)
    body = _body(call, InsightRequest)
    insight = insights.ask(api.store, body.entity_type, body.entity_id, call.now_us)
    alert = api.store.alert_by_id(insight.alert_id) if insight.alert_id else None
    return reply(insights.document(insight, alert), 200 if alert else 201)


def insight_feedback(api: Api, call: Call) -> Reply:
    _writable(api)
    said = msgspec.structs.asdict(_body(call, InsightFeedback))
    insight = insights.feedback(api.store, call.path["id"], actor=call.actor, now_us=call.now_us, **said)
    return reply(insights.document(insight, None))


def replay_reject(api: Api, call: Call) -> Reply:
    _writable(api)
    number = call.path["id"]
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise NotFound("refused items are numbered; GET /v1/rejects lists them")
    body = _body(call, RejectReplay).body
    text = body if body is None or isinstance(body, str) else msgspec.json.encode(body).decode()
    dry_run = call.flag("dry_run")
    return reply(
        mending.replay(api.store, int(number), text, actor=call.actor, now_us=call.now_us, dry_run=dry_run),
        200 if dry_run else 202,
    )


def erase_person(api: Api, call: Call) -> Reply:
    _writable(api)
    return reply(erasing.erase(api.store, call.path["type"], call.path["id"], call.now_us, call.actor))


def simulator_status(api: Api, call: Call) -> Reply:
    return reply(plain(simulation.status(api.store)))


def simulator_command(api: Api, call: Call) -> Reply:
    _writable(api)
    body = _body(call, SimulatorCommand)
    if body.action == "clear" and call.role != "admin":
        raise Forbidden("removing demo data needs the role admin")
    settings = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not None}
    action = settings.pop("action")
    return reply(plain(simulation.command(api.store, action, call.now_us, call.actor, **settings)), 202)


def outbound_alert(api: Api, call: Call) -> Reply:
    _writable(api)
    body = msgspec.to_builtins(_body(call, OutboundAlert))
    made = partner.order(api.store, body, call.now_us)
    if made is None:
        return reply({"status": "ignored", "reason": f"only a risk of {HIGH_RISK:.0f} or more is passed on"})
    return reply({"status": made.state, "delivery_id": made.delivery_id})


def outbound_status(api: Api, call: Call) -> Reply:
    found = partner.load(api.store, call.path["id"])
    if found is None:
        raise NotFound(f"there is no delivery {call.path['id']} to the partner")
    return reply(plain(found))


def live_ticket(api: Api, call: Call) -> Reply:
    if api.ticket is None:
        raise NotFound("there are no tickets here: GET /v1/live/events streams changes")
    return reply(api.ticket(call))


def live_events(api: Api, call: Call) -> Reply:
    """For a door that cannot stream; the engine's own answers this before it is asked."""
    raise NotFound("changes are not streamed here: GET /v1/live-ticket gives a ticket for the WebSocket")


def _writable(api: Api) -> None:
    if api.read_only:
        raise Forbidden("this installation is read-only")


def _body(call: Call, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(call.body or {}, kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise InvalidEvent([Violation(path.strip(".`"), "schema", reason)]) from None


def _expected(call: Call, version: int | None) -> int | None:
    if not call.if_match or call.if_match == "*":
        return version
    text = call.if_match.removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise bad("If-Match", "must be the version that was seen, in quotes")
    return int(text)


def _until(body: AlertCommand, now_us: int) -> int | None:
    if body.minutes is not None:
        if not 1 <= body.minutes <= 60 * 24 * 90:
            raise InvalidEvent([Violation("minutes", "range", "minutes must be from 1 to 129600 (90 days)")])
        return now_us + int(body.minutes * MINUTE)
    if body.until is None:
        return None
    try:
        return to_us(msgspec.convert(body.until, _Moment))
    except (msgspec.ValidationError, ValueError, OverflowError):
        raise InvalidEvent(
            [Violation("until", "timestamp", "until must be a time in ISO 8601 with a zone")]
        ) from None


HANDLERS: dict[str, Callable[[Api, Call], Reply]] = {
    "alert_command": alert_command,
    "ask_insight": ask_insight,
    "erase_person": erase_person,
    "insight_feedback": insight_feedback,
    "outbound_alert": outbound_alert,
    "outbound_status": outbound_status,
    "live_ticket": live_ticket,
    "live_events": live_events,
    "replay_reject": replay_reject,
    "simulator_status": simulator_status,
    "simulator_command": simulator_command,
}
