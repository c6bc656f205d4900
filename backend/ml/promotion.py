"""Which model is in use: promote or keep with a reason, a registry of versions, canary by share of entities, rollback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.domain.wording import percent
from backend.ml.card import card_data, card_text
from backend.ml.model_files import ModelFiles
from backend.ml.models import SMALL_MARK, Model, decode_model
from backend.ml.training_table import share_of

LEAST_TEST_ROWS = 100
MOST_CALIBRATION_ERROR = 0.10
AUC_TOLERANCE = 0.02  # a target may lose this much while the whole gains


@dataclass(frozen=True)
class Decision:
    promote: bool
    reason: str


def decide(new: Mapping[str, Any], current: Mapping[str, Any] | None) -> Decision:
    """Compare figures by target (`scorecard`), both of the same held-out rows. `current` is None when nothing is in use."""
    for target, f in new.items():
        if f["rows"] < LEAST_TEST_ROWS:
            return Decision(False, f"{target}: {f['rows']} test rows, {LEAST_TEST_ROWS} are needed")
        if "log_loss" in f and f["log_loss"] >= f["baselines"]["training_mean"]["log_loss"]:
            return Decision(False, f"{target}: log-loss {f['log_loss']:.4f} is no better than the mean rate")
        if "mae" in f and f["mae"] >= f["baselines"]["training_mean"]["mae"]:
            return Decision(False, f"{target}: mean error {f['mae']:.3f} is no better than the mean")
        if f.get("ece", 0.0) > MOST_CALIBRATION_ERROR:
            return Decision(
                False, f"{target}: calibration error {f['ece']:.3f} exceeds {MOST_CALIBRATION_ERROR}"
            )
    if current is None:
        return Decision(True, "no model was in use and this one beats the mean rate on every target")
    return _against(new, current)


def _against(new: Mapping[str, Any], current: Mapping[str, Any]) -> Decision:
    lost = sorted(set(current) - set(new))
    if lost:
        return Decision(False, f"the model in use also predicts {', '.join(lost)}")
    both = sorted(set(new) & set(current))
    for target in both:
        fall = current[target].get("auc", 0.0) - new[target].get("auc", 0.0)
        if fall > AUC_TOLERANCE:
            return Decision(False, f"{target}: AUC falls by {fall:.3f}")
    gains = {t: 1 - _loss(new[t]) / _loss(current[t]) if _loss(current[t]) else 0.0 for t in both}
    gain = sum(gains.values()) / len(gains) if gains else 0.0
    detail = ", ".join(f"{t} {g:+.1%}" for t, g in gains.items())
    if gain > 0:
        return Decision(True, f"mean loss is {100 * gain:.1f} % lower on the same test rows ({detail})")
    return Decision(False, f"mean loss is not lower on the same test rows ({detail})")


def _loss(figures: Mapping[str, Any]) -> float:
    return figures["log_loss"] if "log_loss" in figures else figures["mae"]


def canary(entity_id: str, share: float, salt: str) -> bool:
    """Whether an entity belongs to the share that gets the new model; always the same answer, and a larger share only
    adds entities."""
    return share_of(entity_id, f"canary:{salt}") < share


class ModelRegistry:
    """Versions of models by entity type, which of them is in use, the canary, and what was decided when.

    A version lies in `<entity type>/<version>/model.json`, the rest in `<entity type>/use.json`. The models of `shipped` are
    known too, and the newest of them is in use until something was decided here.
    """

    def __init__(self, files: ModelFiles, shipped: ModelFiles | None = None):
        self._files, self._shipped = files, shipped

    def add(self, model: Model) -> None:
        """Keep a trained model and its card; it is not in use until promoted."""
        folder = f"{model.entity_type}/{model.version}"
        self._files.write(f"{folder}/model.json", model.encode())
        self._files.write(f"{folder}/card.md", card_text(model).encode())

    def versions(self, entity_type: str) -> list[str]:
        """All versions kept or shipped, in the order of their names, which begin with the time of training."""
        return sorted({*_versions(self._files, entity_type), *self.shipped(entity_type)})

    def shipped(self, entity_type: str) -> list[str]:
        """The versions that came with the program."""
        return [] if self._shipped is None else _versions(self._shipped, entity_type)

    def use(self, entity_type: str) -> dict[str, Any]:
        """`active` and `previous` version, `canary` {version, share} or None, `shadow` version or None, `log` of decisions."""
        try:
            return {"shadow": None} | json.loads(self._files.read(f"{entity_type}/use.json"))
        except FileNotFoundError:
            whole = [version for version in self.shipped(entity_type) if SMALL_MARK not in version]
            first = max(whole, default=None)
            return {"active": first, "previous": None, "canary": None, "shadow": None, "log": []}

    def promote(self, entity_type: str, version: str, reason: str, now: datetime) -> None:
        """Put a version in use for everybody. ValueError for an unknown one, or one that this program cannot use."""
        self.load(entity_type, version)
        self.record(entity_type, version, Decision(True, reason), now)

    def record(self, entity_type: str, version: str, decision: Decision, now: datetime) -> None:
        """Promote the version, or keep the one in use; the reason is logged either way."""
        use = self.use(entity_type)
        if decision.promote:
            self._known(entity_type, version)
            if version != use["active"]:
                use |= {"previous": use["active"], "active": version}
            use["canary"] = None
            use["shadow"] = None if use["shadow"] == version else use["shadow"]
        self._write(
            entity_type, use, "promote" if decision.promote else "keep", version, decision.reason, now
        )

    def start_canary(self, entity_type: str, version: str, share: float, now: datetime) -> None:
        """Give a version to a share (0-1) of the entities; ValueError outside that or for an unknown version."""
        if not 0 <= share <= 1:
            raise ValueError(f"a share lies between 0 and 1, not {share}")
        self.load(entity_type, version)
        use = self.use(entity_type)
        if version == use["active"]:
            raise ValueError(f"{version} is in use for everybody already; give another version a share")
        use |= {"canary": {"version": version, "share": share}}
        use["shadow"] = None if use["shadow"] == version else use["shadow"]
        self._write(entity_type, use, "canary", version, f"{percent(share)} of entities", now)

    def start_shadow(self, entity_type: str, version: str, reason: str, now: datetime) -> None:
        """Let a version say of everybody what nobody is shown, beside the one in use; ValueError where that makes no sense."""
        self.load(entity_type, version)
        use = self.use(entity_type)
        if use["active"] is None:
            raise ValueError(f"no model of {entity_type}s is in use, so there is none to be in the shadow of")
        if version == use["active"]:
            raise ValueError(f"{version} is in use; put another version in its shadow")
        if version == (use["canary"] or {}).get("version"):
            raise ValueError(f"{version} has a share already; end that first (rollback)")
        use["shadow"] = version
        self._write(entity_type, use, "shadow", version, reason, now)

    def drop_shadow(self, entity_type: str, version: str, reason: str, now: datetime) -> None:
        """End what `start_shadow` began; the version is kept. ValueError when it is in no shadow."""
        use = self.use(entity_type)
        if use["shadow"] != version:
            raise ValueError(f"{version} is not in the shadow of another")
        use["shadow"] = None
        self._write(entity_type, use, "drop", version, reason, now)

    def rollback(self, entity_type: str, reason: str, now: datetime) -> str | None:
        """End a canary; without one, return to the version before. Gives the version now in use."""
        use = self.use(entity_type)
        if use["canary"]:
            use["canary"] = None
        elif use["previous"]:
            use |= {"active": use["previous"], "previous": None}
            use["shadow"] = None if use["shadow"] == use["active"] else use["shadow"]
        else:
            raise ValueError("nothing to roll back to")
        self._write(entity_type, use, "rollback", use["active"], reason, now)
        return use["active"]

    def load(self, entity_type: str, version: str) -> Model:
        """Raises ModelMismatch (see `models`) or ValueError for an unknown version."""
        return decode_model(self._read(entity_type, version), version)

    def card(self, entity_type: str, version: str) -> dict[str, Any]:
        """The card of a version as plain data. ValueError for an unknown version or a file that is no model."""
        return card_data(self._read(entity_type, version), version)

    def _read(self, entity_type: str, version: str) -> bytes:
        self._known(entity_type, version)
        files = self._shipped if self._shipped and version in self.shipped(entity_type) else self._files
        return files.read(f"{entity_type}/{version}/model.json")

    def _known(self, entity_type: str, version: str) -> None:
        if version not in self.versions(entity_type):
            raise ValueError(f"no model {version} of {entity_type}")

    def _write(
        self,
        entity_type: str,
        use: dict[str, Any],
        what: str,
        version: str | None,
        reason: str,
        now: datetime,
    ) -> None:
        use["log"].append({"at": now.isoformat(), "what": what, "version": version, "reason": reason})
        self._files.write(f"{entity_type}/use.json", json.dumps(use, indent=1).encode())


def version_for(use: Mapping[str, Any], entity_id: str) -> tuple[str | None, bool]:
    """The version that scores an entity by what `ModelRegistry.use` says, and whether it does so as a canary."""
    trial = use["canary"]
    if trial and canary(entity_id, trial["share"], trial["version"]):
        return trial["version"], True
    return use["active"], False


def _versions(files: ModelFiles, entity_type: str) -> list[str]:
    parts = (name.split("/") for name in files.names())
    return [p[1] for p in parts if len(p) == 3 and p[0] == entity_type and p[2] == "model.json"]
