"""What can be done with an alert from its drawer: the next step, and small forms for the others."""

from __future__ import annotations

from typing import Any

from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.read_models import AlertRow
from dashboard import alert_list, components, html
from dashboard.components import button, icon
from dashboard.view import View

MORNING_H = 8


def actions(alert: AlertRow, view: View) -> list[Any]:
    """The first one is the next step; assign, snooze and dismiss open a small form."""
    if alert.status in alert_list.ENDED:
        return [alert_list.command("Reopen", alert, "reopen", view, kind="pri")]
    main = (
        alert_list.command("Un-ack", alert, "unack", view)
        if alert.status == "acknowledged"
        else alert_list.command("Acknowledge", alert, "ack", view, kind="pri")
    )
    snooze = [
        alert_list.command(label, alert, "snooze", view, until_us=until_us)
        for label, until_us in _snoozes(view)
    ]
    return [
        main,
        _form("Assign", "assign", "Who takes it", "owner", alert, view, value=alert.owner or view.actor),
        _menu("Snooze", snooze, view),
        alert_list.command("Resolve", alert, "resolve", view),
        _form("Dismiss", "dismiss", "Why it needs nobody", "note", alert, view),
    ]


def _snoozes(view: View) -> list[tuple[str, int]]:
    """What is offered, with its end: the shift, the next morning, the next week."""
    minute = view.now_us - view.now_us % MINUTE
    to_monday = 7 - view.zone.local(view.now_us).weekday()
    tomorrow, monday = (_morning(view, days) for days in (1, to_monday))
    found = [("For 1 h", minute + HOUR), ("For 4 h", minute + 4 * HOUR)]
    found.append((f"Until tomorrow {view.zone.clock(tomorrow)}", tomorrow))
    return found if to_monday == 1 else [*found, (f"Until Monday {view.zone.clock(monday)}", monday)]


def _morning(view: View, days: int) -> int:
    """The morning so many local days from now, whatever the clocks do in between."""
    noon = view.zone.midnight(view.now_us) + days * DAY + 12 * HOUR
    return view.zone.midnight(noon) + MORNING_H * HOUR


def _menu(label: str, inside: Any, view: View) -> html.Details | html.Button:
    if view.forbidden:
        return button(label, disabled=view.forbidden)
    pop = html.Div(inside, className="io-pop", role="group", **components.wild({"aria-label": label}))
    return html.Details(
        [html.Summary([label, icon("down", 12)], className="io-btn"), pop], className="io-menu"
    )


def _form(
    label: str, action: str, asks: str, field: str, alert: AlertRow, view: View, value: str = ""
) -> Any:
    """A command that needs a word: alerts.js reads the field and sends it with the version on the drawer."""
    area = html.Textarea(
        rows=1,
        className="io-input al-field",
        maxLength="120",
        placeholder=value,
        **components.wild({"aria-label": asks}),
    )
    extra: dict[str, Any] = {"data_alert_form": action, "data_field": field, "data_default": value}
    return _menu(
        label,
        [html.Label([asks, area]), button(label, kind="pri", aria=f"{label}: {alert.title}", **extra)],
        view,
    )
