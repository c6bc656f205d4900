"""One high risk to the partner, from the bus."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from backend.adapters.webhook import Webhook
from backend.domain.errors import Unavailable
from backend.runtime.aws import Installation
from backend.services import partner
from backend.services.partner import DELIVERED, Delivery


def tell(home: Installation, detail: Mapping[str, Any]) -> Delivery:
    """Deliver, and keep how it ended; what was delivered before is not sent again. Raises Unavailable when it failed."""
    known = partner.load(home.store, detail["insight_id"])
    if known is not None and known.state == DELIVERED:
        return known
    target = partner.target_of(home.secrets.text(home.settings.of("partner")))
    delivery = known or partner.delivery_of(detail, home.clock())
    chance = random.Random().random
    poster = Webhook(home.settings.partner_hosts)
    ended = partner.deliver(delivery, target, poster, home.clock, time.sleep, chance)
    partner.keep(home.store, ended, home.clock())
    if ended.state != DELIVERED:
        raise Unavailable(f"the partner was not told of {ended.delivery_id}: {ended.reason}")
    return ended
