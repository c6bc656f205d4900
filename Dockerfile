# One image for both processes: `iops web` and `iops engine` (see Procfile and compose.yaml).
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements-uv.lock requirements.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-uv.lock
COPY pyproject.toml README.md ./
COPY backend backend
COPY dashboard dashboard
COPY simulator simulator
COPY infra infra
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock && /venv/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 iops && install -d -o iops /data
COPY --from=build /venv /venv
USER iops
ENV PATH=/venv/bin:$PATH IOPS_DATA_DIR=/data PYTHONUNBUFFERED=1
EXPOSE 8050 8051
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/healthz', timeout=2)"]
CMD ["iops", "up"]
