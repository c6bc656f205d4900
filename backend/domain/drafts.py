"""Drafts for taking up what an insight recommends: notes for a call, an invitation, a task. A person edits and confirms them.

Everything in a draft is the insight's own: its claim, its evidence, what would settle it. Nothing is worked out anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.domain.insight_words import ACTION_IDS
from backend.domain.insights import Insight

CALL, INVITE, TASK = "call", "invite", "task"
_CALLS = frozenset(
    (
        "ask",
        "call",
        "call_back",
        "hours",
        "onboarding",
        "refer",
        "schedule",
        "talk",
        "thank",
        "welcome",
        "win_back",
    )
)
_INVITES = frozenset(("invite", "relieve"))


def kind_of(action: str) -> str:
    """What somebody does who takes an action up: talks to a person, looks for tutors, or something else."""
    name = ACTION_IDS.get(action)
    return CALL if name in _CALLS else INVITE if name in _INVITES else TASK


def draft(action: str, insight: Insight, tutors: Sequence[str] = ()) -> str:
    """The words to begin with; `tutors` are those who could be asked, each in one line."""
    kind, sides = kind_of(action), {"for": "", "against": ""}
    for side in sides:
        sides[side] = "; ".join(item.text for item in insight.evidence if item.side == side)
    lines = [action]
    if sides["for"]:
        lines.append(f"Known: {sides['for']}.")
    if kind == CALL:
        lines += [f"Against it: {sides['against']}."] if sides["against"] else []
        lines += [f"Find out: {insight.settles}", "Said: ", "Agreed: "]
    if kind == INVITE:
        lines += [f"- {tutor}" for tutor in tutors] or [
            "Nobody with free hours is known for this subject and region."
        ]
    return "\n".join(lines)
