"""What the endpoint's container answers, by the program that its image starts with `serve`."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.adapters.sagemaker import SageMakerModels
from backend.domain.times import DAY
from backend.ml import features
from backend.ml.model_files import SHIPPED, FolderFiles
from backend.ml.promotion import ModelRegistry
from backend.ml.scorer import LocalModels
from backend.runtime.model_server import MODEL_DIR, create_app
from infra.stages import STAGES
from tests.builders import NOW, session

ASKED = {"entity_type": "student", "feature_version": features.version("student"), "features": {}}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> FolderFiles:
    """A folder with the shipped model of students in use, as a packed model unpacks."""
    folder = FolderFiles(tmp_path_factory.mktemp("model"))
    registry = ModelRegistry(folder, SHIPPED)
    registry.add(registry.load("student", registry.use("student")["active"]))
    folder.write("student/use.json", json.dumps(registry.use("student")).encode())
    return folder


@pytest.fixture(scope="module")
def client(packed: FolderFiles) -> FlaskClient:
    return create_app(str(packed.root)).test_client()


def test_it_is_well_with_a_model_and_not_without(client: FlaskClient, tmp_path: Path) -> None:
    assert client.get("/ping").status_code == 200
    assert create_app(str(tmp_path)).test_client().get("/ping").status_code == 503


def test_what_it_says_is_what_the_product_itself_would_say(client: FlaskClient, packed: FolderFiles) -> None:
    class Runtime:
        """The call of the product, as the endpoint's load balancer hands it on."""

        def invoke_endpoint(self, *, Body: bytes, ContentType: str, **_: Any) -> dict[str, Any]:
            answer = client.post("/invocations", data=Body, content_type=ContentType)
            return {"Body": BytesIO(answer.get_data())}

    events = [session(f"s{day}", NOW - day * DAY, rating=4).event for day in range(20, 80, 3)]
    there = SageMakerModels("scores", Runtime()).predict("student", "stu_1", events, NOW)
    here = LocalModels(ModelRegistry(packed)).predict("student", "stu_1", events, NOW)
    assert there is not None
    assert here is not None
    assert (there.model, there.predictions) == (here.model, here.predictions)
    assert there.predictions["churn_30d"].value > 0


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"{", "application/json", "truncated"),
        (b"1,2", "text/csv", "send application/json"),
        (json.dumps(ASKED | {"entity_type": "tutor"}).encode(), "application/json", "no model of tutor"),
        (
            json.dumps(ASKED | {"feature_version": "0"}).encode(),
            "application/json",
            "features are of version 0",
        ),
    ],
)
def test_what_cannot_be_answered_is_said(client: FlaskClient, body: bytes, kind: str, why: str) -> None:
    answer = client.post("/invocations", data=body, content_type=kind)
    assert answer.status_code == 400
    assert why in answer.get_data(as_text=True)


def test_the_image_starts_it_when_sagemaker_says_serve() -> None:
    dockerfile = Path("Dockerfile").read_text(encoding="utf-8")
    assert '"backend.runtime.model_server:create_app()"' in dockerfile
    assert "> /usr/local/bin/serve" in dockerfile
    assert "0.0.0.0:8080" in dockerfile
    assert MODEL_DIR == "/opt/ml/model"
    learning = STAGES["prod"].learning
    assert learning is not None
    assert not learning.serving_image
