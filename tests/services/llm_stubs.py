"""Language models that fail in every known way, clocks that only move when told, and cases to explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from backend.domain import alerts
from backend.domain.evidence import case_of_alert
from backend.domain.insights import Case
from backend.domain.profiles import Profile
from backend.domain.prompts import Prompt
from backend.domain.rules import Assessment, evaluate
from backend.domain.times import DAY, HOUR, SECOND
from backend.domain.windows import delta_of
from backend.ports import Completion, ProviderFailed
from tests.builders import NOW, call, session


class Clock:
    """Microseconds that move by sleeping and by slow answers alone."""

    def __init__(self, now_us: int = NOW) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us

    def sleep(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND)


class Model:
    """Answers with `say(prompt)`: a text, a Completion, or a ProviderFailed to raise; takes `seconds` for it."""

    source, model = "anthropic", "stub-1"

    def __init__(self, clock: Clock, say: Callable[[Prompt], Any], seconds: float = 0.3) -> None:
        self._clock, self._say, self._seconds = clock, say, seconds
        self.asked: list[Prompt] = []

    def complete(self, prompt: Prompt, timeout_s: float) -> Completion:
        self.asked.append(prompt)
        self._clock.sleep(min(self._seconds, timeout_s))
        if self._seconds > timeout_s:
            raise ProviderFailed("no answer in time", retry=True)
        said = self._say(prompt)
        if isinstance(said, ProviderFailed):
            raise said
        return said if isinstance(said, Completion) else Completion(said, 400, 100)


def answer(*items: dict[str, Any]) -> str:
    """The JSON of an answer with these items, by index."""
    return msgspec.json.encode({"insights": [{"index": i, **item} for i, item in enumerate(items)]}).decode()


def student_profile(calls: int = 5, sessions: int = 2, student: str = "stu_1", **fields: Any) -> Profile:
    """A student with that many calls in the last days, and sessions in the last weeks."""
    entries = [call(f"c{i}", NOW - i * HOUR - HOUR, student_id=student) for i in range(calls)]
    entries += [
        session(f"s{i}", NOW - (8 + 3 * i) * DAY, student_id=student, rating=3, **fields)
        for i in range(sessions)
    ]
    profile = Profile.new("student", student)
    for entry in entries:
        profile.fold(entry.event, delta_of(entry.event), NOW)
    return profile


def student_alert(profile: Profile) -> alerts.Alert:
    """The first alert that the rules raise for a profile."""
    verdict = next(v for v in evaluate(Assessment(profile, NOW)) if v.signal)
    assert verdict.signal is not None
    return alerts.raise_alert(verdict.signal, f"al_{profile.entity_id}", NOW).alert


def cases(profiles: Sequence[Profile]) -> list[Case]:
    return [case_of_alert(student_alert(profile), profile, NOW) for profile in profiles]
