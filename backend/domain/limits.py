"""Limits of rules as an admin has set them: a version of a rule is its limits, its quiet time and whether it is on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from backend.domain.errors import Conflict, NotFound, Rejected
from backend.domain.rules import QUIET_MINUTES, RULES, Level, Rule

DOCUMENT = "limits"  # under which name stores keep what is below, by rule id
KEPT = 20  # versions of a rule that are remembered
LONGEST_QUIET = 7 * 24 * 60  # minutes
HAIR = 1e-5  # so close beside a round number a limit means "below" or "above" it, the number itself left out
# Raised from episodes, which decide by themselves when they begin and end.
FIXED = frozenset(rule_id for rule_id, rule in RULES.items() if rule.entity_type == "series")


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a rule from a moment on. `levels` are worst first, like the rule's own."""

    version: int
    enabled: bool
    levels: tuple[Level, ...]
    by: str
    at_us: int
    note: str = ""
    quiet_minutes: int = QUIET_MINUTES


def book_of(document: Any | None) -> Mapping[str, Rule]:
    """All rules with the limits in force; `document` is what the store keeps under DOCUMENT."""
    return _book(msgspec.json.encode(document)) if document else RULES


@lru_cache(maxsize=8)
def _book(text: bytes) -> Mapping[str, Rule]:
    found = dict(RULES)
    for rule_id, versions in msgspec.json.decode(text, type=dict[str, list[Version]]).items():
        if rule_id in found and rule_id not in FIXED and versions:
            now = versions[0]
            found[rule_id] = msgspec.structs.replace(
                found[rule_id],
                version=now.version,
                enabled=now.enabled,
                levels=now.levels,
                quiet_minutes=now.quiet_minutes,
            )
    return found


def versions_of(document: Any | None, rule_id: str) -> list[Version]:
    """How the rule was set, newest first; empty while it is as it came."""
    return msgspec.convert((document or {}).get(rule_id, []), list[Version])


def changed(
    document: Any | None,
    rule_id: str,
    limits: Mapping[str, tuple[float, float]],
    *,
    enabled: bool,
    seen: int | None,
    by: str,
    at_us: int,
    note: str = "",
    quiet_minutes: int | None = None,
) -> Any:
    """The document with a new version of a rule. `limits`: (opens, clears) by severity, for exactly the rule's severities.

    `quiet_minutes` None: as it is. `seen`: the version that was looked at. Raises NotFound, Conflict, or Rejected with what is wrong with which limit.
    """
    rule = _settable(document, rule_id)
    if seen is not None and seen != rule.version:
        raise Conflict(
            f"{rule_id} was changed in the meantime and is at version {rule.version}; look again before you set it"
        )
    if len(note) > 300 or not note.isprintable():
        raise Rejected("a note holds at most 300 printable characters")
    after = tried(document, rule_id, limits, enabled=enabled, quiet_minutes=quiet_minutes)
    if after == rule:
        return document or {}
    made = Version(
        version=rule.version + 1,
        enabled=enabled,
        levels=after.levels,
        by=by,
        at_us=at_us,
        note=note,
        quiet_minutes=after.quiet_minutes,
    )
    history = versions_of(document, rule_id)
    return {**(document or {}), rule_id: msgspec.to_builtins([made, *history][:KEPT])}


def tried(
    document: Any | None,
    rule_id: str,
    limits: Mapping[str, tuple[float, float]],
    *,
    enabled: bool,
    quiet_minutes: int | None = None,
) -> Rule:
    """The rule in force with these limits instead, not set yet; of the version in force. Refused as `changed` refuses them."""
    rule = _settable(document, rule_id)
    quiet = rule.quiet_minutes if quiet_minutes is None else _quiet(quiet_minutes)
    return msgspec.structs.replace(rule, enabled=enabled, levels=_levels(rule, limits), quiet_minutes=quiet)


def _settable(document: Any | None, rule_id: str) -> Rule:
    if rule_id not in RULES:
        raise NotFound(f"there is no rule {rule_id}; one of: {', '.join(RULES)}")
    if rule_id in FIXED:
        raise Rejected(f"{rule_id} decides by how rare an hour is, and has no limits to set")
    return book_of(document)[rule_id]


def adjusted(rule: Rule, changes: Mapping[str, float]) -> Rule:
    """The rule with other limits, to be tried. Names are "warning.opens", "critical.clears" and "quiet_minutes".

    Raises Rejected with what is wrong with which.
    """
    pairs = {level.severity: [level.opens, level.clears] for level in rule.levels}
    quiet = rule.quiet_minutes
    for name, value in changes.items():
        severity, _, end = name.partition(".")
        if name == "quiet_minutes":
            quiet = _quiet(value)
        elif severity in pairs and end in ("opens", "clears"):
            pairs[severity][end == "clears"] = value
        else:
            known = ", ".join(f"{level}.opens, {level}.clears" for level in pairs)
            raise Rejected(f"{rule.rule_id} has no limit {name!r}; one of: {known}, quiet_minutes")
    levels = _levels(rule, {severity: (pair[0], pair[1]) for severity, pair in pairs.items()})
    return msgspec.structs.replace(rule, levels=levels, quiet_minutes=quiet)


def said(value: float, rising: bool) -> tuple[float, bool]:
    """A limit as people say it: its round number, and whether that itself is left out (49.999999 is "below 50").

    `rising`: what is higher lies on the limit's own side.
    """
    near = round(value, 3)
    beside = value - near if rising else near - value
    return (near, True) if 0 < beside <= HAIR else (value, False)


def meant(number: float, before: float, rising: bool) -> float:
    """The limit that somebody means who gives a number where `before` was: the same side of it, and the same if it is the same."""
    near, without = said(before, rising)
    if number == near:
        return before
    exact = not without or said(number, rising)[1]
    return number if exact else round(number + (before - near), 9)


def _quiet(minutes: float) -> int:
    if not 0 <= minutes <= LONGEST_QUIET or minutes != int(minutes):
        raise Rejected(f"the quiet time is from 0 to {LONGEST_QUIET} whole minutes (7 days), not {minutes:g}")
    return int(minutes)


def _levels(rule: Rule, limits: Mapping[str, tuple[float, float]]) -> tuple[Level, ...]:
    names = [level.severity for level in rule.levels]
    if set(limits) != set(names):
        raise Rejected(f"{rule.rule_id} has limits for {', '.join(names)}; give each of them and no other")
    levels = tuple(Level(name, *limits[name]) for name in names)
    side, way = ("below", 1) if rule.rising else ("above", -1)
    for level in levels:
        if not (math.isfinite(level.opens) and math.isfinite(level.clears)):
            raise Rejected(f"{level.severity}: limits are finite numbers")
        if way * level.clears >= way * level.opens:
            raise Rejected(
                f"{level.severity}: it must end {side} where it opens, or it would open and end all the time"
            )
    for worse, milder in pairwise(levels):
        if way * worse.opens <= way * milder.opens:
            raise Rejected(f"{worse.severity} must open later than {milder.severity}")
    return levels
