"""Whether every number in a text is one of the facts, with the right measure, unit and window.

The check is strict on purpose: a text that cannot be understood for certain does not pass. Letters are plain ASCII, numbers
are decimal digits next to the word for what they count, and nothing that compares, negates or estimates stands beside them.
What passes states facts; what fails is withheld, and the rules' text stands in for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from backend.domain import number_words as words_of
from backend.domain.number_words import MEASURES, NEGATIONS, STOPS


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A measured number. `measure` is a name in number_words.MEASURES; `days` its window; `decimals` what a text must keep.

    unit: count, score (of `scale`), share (0..1, said in percent), hours, days_ago, per_week, money or plain.
    `beside`: a word without which a clause speaks of another one, such as the "first" of a first session's rating.
    """

    name: str
    value: float
    measure: str
    unit: str = "count"
    days: int | None = None
    scale: int | None = None
    decimals: int = 0
    beside: str | None = None


_ALLOWED = re.compile(r"[A-Za-z0-9 .,;:!?'\"()%$\[\]\-\u2013\u2014\u2019\u2018\u201c\u201d]*\Z")
_LINK = re.compile(r"[A-Za-z]\.[A-Za-z]{2,}|\bwww\b|\d:\d", re.I)
_ROMAN = re.compile(r"\b(?:[IVXLCDM]{2,}|[VX])\b")
_CITATION = re.compile(r"\s?\[\d{1,2}\]")
_TOKEN = re.compile(
    r"\$?\d+(?:,\d+)*(?:\.\d+)?%?[A-Za-z]*|[A-Za-z][A-Za-z'\u2019]*|[,;:()\"\u2013\u2014.!?\-]|\S"
)
_NUMBER = re.compile(r"\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?\Z")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_DASHES = ("-", "\u2013", "\u2014")
_BARE = ("count", "score", "plain")  # units that need no word beside the number
_LEAST_ENGLISH = (
    0.15  # share of function words in English prose is about half; other languages have next to none
)


class _Item(NamedTuple):
    """One number of a clause: its value, how it is written, and where it stands among the tokens."""

    value: float
    decimals: int
    percent: bool
    money: bool
    at: int


def mismatches(text: str, facts: Sequence[Fact]) -> list[str]:
    """What in the text does not hold against the facts, in words; empty when all of it does."""
    text = _CITATION.sub("", text)
    odd = _odd(text)
    if odd:
        return [odd]
    return [problem for clause in _clauses(text) for problem in _judge(clause, facts)[0]]


def sentences(text: str, facts: Sequence[Fact]) -> Iterator[tuple[str, list[str]]]:
    """The sentences of a text, each with the names of the facts that it states."""
    plain = _CITATION.sub("", text)
    for sentence in _SENTENCE.split(plain):
        if sentence:
            yield sentence, [name for clause in _clauses(sentence) for name in _judge(clause, facts)[1]]


def _odd(text: str) -> str:
    """Why the text as a whole cannot be read for certain; empty if it can."""
    if not _ALLOWED.match(text):
        return "a character outside of plain text"
    if _LINK.search(text):
        return "something like a link"
    if _ROMAN.search(text):
        return "something like a Roman numeral"
    words = re.findall(r"[a-z]+", text.lower())
    if words and sum(word in words_of.ENGLISH for word in words) < _LEAST_ENGLISH * len(words):
        return "not English"
    return ""


def _clauses(text: str) -> Iterator[list[str]]:
    """Tokens of each clause; a clause ends at . ; ! ? or a bracket, never inside a number."""
    clause: list[str] = []
    for token in _TOKEN.findall(text):
        if token in '.;!?()"':
            if clause:
                yield clause
            clause = []
        else:
            clause.append(token)
    if clause:
        yield clause


def _judge(tokens: list[str], facts: Sequence[Fact]) -> tuple[list[str], list[str]]:
    """(problems, names of the facts stated) of one clause."""
    words = _zeros([token.lower().replace("\u2019", "'") for token in tokens])
    problems = [f"{word!r} is not a number in digits" for word in words if _unreadable(word)]
    problems += [f"{a!r} before {b!r} denies a count" for a, b in _denials(words)]
    items = [_item(word, i) for i, word in enumerate(words) if _NUMBER.match(word)]
    if problems or not items:
        return problems, []
    if any(word in words_of.TIME_WORDS for word in words) or _vague_week(words):
        return ["a time span that is not in days"], []
    windows = {item.at: item for item in items if _is_window(words, item)}
    counted = [item for item in items if item.at not in windows and not _is_scale(words, item)]
    used: set[int] = set()
    stated = []
    for place, item in enumerate(counted):
        stated_window = _window_of(counted, place, windows, used)
        window: tuple[float | None, ...] = () if stated_window is None else (stated_window,)
        if not window and ("this", "week") in pairwise(words):
            window = (7, None)  # facts without a window hold this week as well
        found = _distorted(words, item) or _match(words, item, facts, window)
        if isinstance(found, str):
            problems.append(found)
        else:
            stated.append(found.name)
    problems += [f"nothing is counted in {windows[at].value:g} days" for at in windows.keys() - used]
    return problems, stated


def _unreadable(word: str) -> bool:
    digits = any(character.isdigit() for character in word)
    return word in words_of.NUMBER_WORDS or (digits and not _NUMBER.match(word))


def _zeros(words: list[str]) -> list[str]:
    """ "No" right before what is counted is the number 0."""
    found = list(words)
    for i, word in enumerate(words):
        after = [w for w in words[i + 1 : i + 4] if w not in words_of.TRANSPARENT]
        if word == "no" and after[:1] and after[0] in MEASURES:
            found[i] = "0"
    return found


def _denials(words: list[str]) -> Iterator[tuple[str, str]]:
    """Words that deny, close before what is counted."""
    for i, word in enumerate(words):
        if word in NEGATIONS:
            yield from ((word, after) for after in words[i + 1 : i + 4] if after in MEASURES)


def _vague_week(words: list[str]) -> bool:
    """A week that is neither a rate ("a week", "per week") nor this one."""
    return any(b == "week" and a not in ("a", "per", "this") for a, b in pairwise(["", *words]))


def _item(word: str, at: int) -> _Item:
    digits = word.strip("$%").replace(",", "")
    return _Item(float(digits), len(digits.partition(".")[2]), word.endswith("%"), word.startswith("$"), at)


def _is_window(words: list[str], item: _Item) -> bool:
    """ "14 days", unless it says how long ago something was."""
    after = words[item.at + 1 : item.at + 3]
    return bool(after) and after[0] in ("day", "days", "d") and after[1:] not in (["ago"], ["since"])


def _is_scale(words: list[str], item: _Item) -> bool:
    """The 100 of "85 of 100": right after a number and "of" or "out of"; it is checked together with that number."""
    before = words[max(0, item.at - 3) : item.at]
    if before[-1:] != ["of"]:
        return False
    number = before[-3:-2] if before[-2:-1] == ["out"] else before[-2:-1]
    return bool(number) and bool(_NUMBER.match(number[0]))


def _window_of(counted: list[_Item], place: int, windows: dict[int, _Item], used: set[int]) -> float | None:
    """The window that goes with a number: the next one before another number, else the one before all of them.

    Marks it as used. None: no window is stated for this number.
    """
    at = counted[place].at
    following = counted[place + 1].at if place + 1 < len(counted) else 10**6
    for window in windows:
        if at < window < following:
            used.add(window)
            return windows[window].value
    earlier = [window for window in windows if window < at]
    if not earlier:
        return None
    free = [w for w in earlier if not any(item.at < w for item in counted)]
    if not free:
        return None
    used.add(free[-1])
    return windows[free[-1]].value


def _distorted(words: list[str], item: _Item) -> str:
    """Why the words beside a number make it say something else than its value; empty if they do not."""
    shown, at = words[item.at], item.at
    before, after = words[max(0, at - 3) : at], words[at + 1 : at + 3]
    for word in before[-2:]:
        if word in words_of.ESTIMATES or word in NEGATIONS:
            return f"{word!r} stands before {shown}"
    if before[-1:] and (before[-1] in words_of.BOUNDS or before[-1] in _DASHES):
        return f"{before[-1]!r} stands before {shown}"
    if "from" in before and any(word in words_of.CHANGES for word in words[:at]):
        return f"{shown} is said to be a change"
    if (
        after[:1]
        and after[0] not in MEASURES
        and after[0] not in STOPS
        and after[0] not in words_of.TRANSPARENT
    ):
        return f"{after[0]!r} stands after {shown}"
    if after[:1] == ["times"] and after[1:] and after[1] not in STOPS - {"the", "as", "that"}:
        return f"{shown} is said to be a multiple"
    return ""


def _match(
    words: list[str], item: _Item, facts: Sequence[Fact], window: tuple[float | None, ...]
) -> Fact | str:
    """The fact that a number states, or why there is none. `window`: the days it may count over; empty: any."""
    shown, measures = words[item.at], _measures(words, item)
    if not measures:
        return f"{shown} counts nothing that is named"
    unit, scale = _unit(words, item), _scale(words, item)
    for fact in facts:
        same_unit = fact.unit == unit or (unit is None and fact.unit in _BARE)
        right_window = not window or fact.days in window
        right_one = (scale is None or fact.scale == scale) and fact.beside in (None, *words)
        if fact.measure in measures and same_unit and right_window and right_one and _equal(item, fact):
            return fact
    return f"{shown} is not what is measured for {' or '.join(sorted(measures))}"


def _equal(item: _Item, fact: Fact) -> bool:
    value = abs(fact.value) * (100 if fact.unit == "share" else 1)
    if item.value == round(value, 6):
        return True
    return item.decimals >= fact.decimals and abs(item.value - value) <= 0.5 * 10**-item.decimals + 1e-9


def _measures(words: list[str], item: _Item) -> frozenset[str]:
    """What a number counts: the noun after it past plain adjectives and units, else the nearest one before it."""
    for word in words[item.at + 1 : item.at + 5]:
        if word in MEASURES:
            return MEASURES[word]
        if word not in words_of.TRANSPARENT:
            break
    for word in reversed(words[max(0, item.at - 6) : item.at]):
        if word in MEASURES:
            return MEASURES[word]
        if _NUMBER.match(word) or word in (",", "and", "but", "while"):
            break
    return frozenset()


def _unit(words: list[str], item: _Item) -> str | None:
    after = words[item.at + 1 : item.at + 6]
    if item.percent or after[:1] in (["percent"], ["%"]):
        return "share"
    if item.money:
        return "money"
    if after[:2] in (["days", "ago"], ["day", "ago"]):
        return "days_ago"
    for i, word in enumerate(after):
        if word in ("hour", "hours", "h"):
            return "hours"
        if word == "week" and words[item.at + i] in ("a", "per"):
            return "per_week"
        if _NUMBER.match(word) or word in (",", "and", "but", "while"):
            break
    return None


def _scale(words: list[str], item: _Item) -> float | None:
    after = words[item.at + 1 : item.at + 4]
    if after[:2] == ["out", "of"]:
        after = after[1:]
    if after[:1] == ["of"] and len(after) > 1 and _NUMBER.match(after[1]):
        return _item(after[1], 0).value
    return None
