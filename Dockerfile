# One image for every process: `iops up` (both on one machine), or `iops web` and `iops engine` apart (Procfile), or training.
FROM python:3.12-slim AS build
WORKDIR /src
# Extras of pyproject.toml: `--build-arg EXTRAS=ml` makes the image that trains.
ARG EXTRAS=""
COPY pyproject.toml requirements.lock README.md ./
COPY infra/__init__.py infra/image.py infra/
RUN python infra/image.py $EXTRAS > image.txt \
 && pip install --no-cache-dir --no-compile --require-hashes --prefix=/install -r image.txt
COPY backend backend
COPY dashboard dashboard
COPY simulator simulator
RUN pip install --no-cache-dir --no-compile --no-deps --prefix=/install .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 iops && install -d -o iops /data
COPY --from=build /install /usr/local
# An endpoint of SageMaker starts the image with this word.
RUN printf '#!/bin/sh\nexec gunicorn --bind 0.0.0.0:8080 --threads 4 "backend.runtime.model_server:create_app()"\n' > /usr/local/bin/serve \
 && chmod 755 /usr/local/bin/serve
USER iops
ENV IOPS_DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8050 8051
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/healthz', timeout=2)"]
CMD ["iops", "up"]
