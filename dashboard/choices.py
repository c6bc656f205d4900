"""Values of the address that only single pages know: which tab, sort, type and so on the page that is shown has."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

import msgspec

from dashboard.context import Context
from dashboard.filters import Filters
from dashboard.view import View

log = logging.getLogger(__name__)
# Not judged: what can be anything (open, q, page, unfold), and compare, which stays while a wall goes round the pages.
JUDGED = ("tab", "cell", "sort", "dir", "segment", "severity", "type", "status", "group", "metric")
_NAMED = 12  # values worth listing in one sentence


class Several(tuple[str, ...]):
    """Choices of which several may be asked for at once, by comma."""

    def __contains__(self, value: object) -> bool:
        return all(super(Several, self).__contains__(part) for part in str(value).split(","))


def corrected(ctx: Context, view: View, page: Any) -> tuple[Filters, list[str]]:
    """The filters without what the page does not have, and a sentence for each value left out.

    A page module says in `choices(ctx, view)` what it has by key; a key that it does not name means nothing there. It is asked
    only when the address holds one of these keys, for some values are read from the store.
    """
    asked = {key: value for key in JUDGED if (value := view.filters.get(key))}
    if not asked:
        return view.filters, []
    try:
        known: dict[str, Collection[str]] = page.choices(ctx, view) if hasattr(page, "choices") else {}
    except Exception:
        log.exception("what the page may be asked for could not be read")
        return view.filters, []  # the panel that needs it says so itself
    wrong = {key: value for key, value in asked.items() if value not in known.get(key, ())}
    own = tuple((key, value) for key, value in view.filters.own if key not in wrong)
    notices = [_says(key, value, known.get(key, ())) for key, value in wrong.items()]
    return msgspec.structs.replace(view.filters, own=own), notices


def _says(key: str, value: str, known: Collection[str]) -> str:
    if not known:
        return f"“{key}” is not something this page can be asked for; it was removed."
    names = [name for name in known if name]
    if len(names) > _NAMED:
        return f"“{value[:40]}” is not a {key} of this page; it was removed."
    return f"“{value[:40]}” is not a {key} of this page; choose one of {', '.join(names)}."
