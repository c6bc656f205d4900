"""Rules over HTTP: their limits as they are in force and came, who set them when, setting them, and trying others before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

import msgspec

from backend.domain.errors import Forbidden, InvalidEvent, NotFound, Violation
from backend.domain.limits import LONGEST_QUIET
from backend.runtime.api_context import Api, Call
from backend.runtime.api_read import plain, reply
from backend.runtime.replies import Reply
from backend.services import limits, trying
from backend.services.backtest import require_replayable

Body = TypeVar("Body")


class RuleLevel(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """At which value a severity opens, and at which it ends."""

    severity: Literal["critical", "warning", "info"]
    opens: float
    clears: float


class RuleLimits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body that sets a rule: exactly its severities, whether it is on, for how many minutes it opens no fresh alert after one
    ended (left out: as it is). `version` is the one that was seen."""

    levels: Annotated[list[RuleLevel], msgspec.Meta(min_length=1, max_length=3)]
    enabled: bool = True
    quiet_minutes: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_QUIET)] | None = None
    version: int | None = None
    note: Annotated[str, msgspec.Meta(max_length=300)] = ""


class RuleTrial(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body that tries limits of a rule on the last `days`: as RuleLimits, and refused for the same reasons."""

    levels: Annotated[list[RuleLevel], msgspec.Meta(min_length=1, max_length=3)]
    enabled: bool = True
    quiet_minutes: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_QUIET)] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=trying.LONGEST)] = trying.DAYS


def list_rules(api: Api, call: Call) -> Reply:
    return reply(plain({"rules": limits.rules(api.store)}))


def put_rule(api: Api, call: Call) -> Reply:
    body = _body(api, call, RuleLimits)
    rule = limits.put(
        api.store,
        call.path["id"],
        _asked(body.levels),
        enabled=body.enabled,
        seen=body.version,
        by=call.actor,
        now_us=call.now_us,
        note=body.note,
        quiet_minutes=body.quiet_minutes,
    )
    found = next((known for known in limits.rules(api.store) if known["rule_id"] == rule.rule_id), None)
    if found is None:
        raise NotFound(f"there is no rule {rule.rule_id}")
    return reply(plain(found))


def try_rule(api: Api, call: Call) -> Reply:
    """Orders a trial, which the engine makes; GET says how far it is and what was found."""
    if not api.tries_limits:
        raise NotFound(trying.ONE_MACHINE)
    body = _body(api, call, RuleTrial)
    now = trying.ask(
        api.store,
        call.path["id"],
        _asked(body.levels),
        enabled=body.enabled,
        by=call.actor,
        now_us=call.now_us,
        quiet_minutes=body.quiet_minutes,
        days=body.days,
    )
    return _told(call, now, 202)


def get_trial(api: Api, call: Call) -> Reply:
    if not api.tries_limits:
        raise NotFound(trying.ONE_MACHINE)
    require_replayable(call.path["id"])
    return _told(call, trying.trial(api.store, call.path["id"]), 200)


def _told(call: Call, now: trying.Trial, status: int) -> Reply:
    return reply(plain(trying.said(now, call.path["id"])), status)


def _body(api: Api, call: Call, kind: type[Body]) -> Body:
    if api.read_only:
        raise Forbidden("this installation is read-only")
    try:
        return msgspec.convert(call.body or {}, kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise InvalidEvent([Violation(path.strip(".`"), "schema", reason)]) from None


def _asked(levels: list[RuleLevel]) -> dict[str, tuple[float, float]]:
    asked: dict[str, tuple[float, float]] = {level.severity: (level.opens, level.clears) for level in levels}
    if len(asked) < len(levels):
        raise InvalidEvent([Violation("levels", "duplicate", "each severity stands once")])
    return asked


HANDLERS: dict[str, Callable[[Api, Call], Reply]] = {
    "rules": list_rules,
    "put_rule": put_rule,
    "backtest": get_trial,
    "try_rule": try_rule,
}
