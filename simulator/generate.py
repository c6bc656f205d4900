"""Events of the simulated marketplace: its past (`history`) and its present (`live`). Pure: nothing is sent from here."""

from simulator.history import history
from simulator.live import LiveMarket, live

__all__ = ["LiveMarket", "history", "live"]
