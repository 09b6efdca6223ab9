# One image for every service of the compose file: the worker, and `saga ...` for everything else.
# To pin the base to its bytes, write the digest that `docker buildx imagetools inspect` shows behind both tags:
# FROM python:3.11.13-slim-bookworm@sha256:...
FROM python:3.11.13-slim-bookworm AS build

RUN python -m venv /opt/saga
WORKDIR /build

# Packages first: they change less often than the code, and their layer is kept.
COPY requirements-image.lock ./
RUN /opt/saga/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-image.lock

COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY saga_app saga_app
COPY agents agents
COPY tables tables
# Installers are no part of a running saga, and whoever breaks in would find them useful.
RUN /opt/saga/bin/pip install --no-cache-dir --no-build-isolation --no-deps '.[orders]' \
    && /opt/saga/bin/pip uninstall --yes setuptools pip

FROM python:3.11.13-slim-bookworm

# Two arenas for all threads, as a worker chooses for itself: memory has fewer holes (docs/performance.md).
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/saga/bin:$PATH \
    SAGA_DATA_DIR=/data \
    SAGA_WEB_PORT=6066 \
    MALLOC_ARENA_MAX=2

# The worker needs nothing of root's; the volume takes over this folder's owner and mode.
RUN python -m pip uninstall --yes setuptools wheel pip \
    && useradd --system --uid 10001 saga \
    && install --directory --owner saga --mode 700 /app /data /orders
COPY --from=build /opt/saga /opt/saga

WORKDIR /app
USER saga
VOLUME /data
EXPOSE 6066

CMD ["faust", "-A", "saga_app", "worker", "-l", "info"]
