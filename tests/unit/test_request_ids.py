"""Ids that the front door gives to requests whose sender named none."""

from __future__ import annotations

import re
from itertools import islice

from backend.runtime.api_app import request_ids


def test_ids_are_of_one_shape_and_never_the_same() -> None:
    first, second = (list(islice(request_ids(), 2_000)) for _ in range(2))
    assert all(re.fullmatch("[0-9a-f]{16}", given) for given in first)
    assert len({*first, *second}) == 4_000
