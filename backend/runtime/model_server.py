"""What an endpoint of SageMaker runs: it starts an image with the word `serve`, and asks port 8080 for `/ping` and `/invocations`."""

from __future__ import annotations

from flask import Flask, Response, request

from backend.ml.sagemaker_entry import JSON, BadRequest, input_fn, model_fn, output_fn, predict_fn

MODEL_DIR = "/opt/ml/model"  # where SageMaker unpacks the model


def create_app(model_dir: str = MODEL_DIR) -> Flask:
    """The server of the models that are in use in the folder. Healthy only with a model; 400 says why a question has no answer."""
    served = model_fn(model_dir)
    app = Flask(__name__)

    @app.get("/ping")
    def ping() -> Response:
        return Response(status=200 if served.models else 503)

    @app.post("/invocations")
    def invocations() -> Response:
        try:
            answer = predict_fn(input_fn(request.get_data(), request.content_type or ""), served)
        except BadRequest as error:
            return Response(str(error), 400, mimetype="text/plain")
        return Response(output_fn(answer, JSON)[0], mimetype=JSON)

    return app
