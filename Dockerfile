# One image for every service of the compose file: the worker, and `saga ...` for everything else.
FROM python:3.11.13-slim-bookworm

# Two arenas for all threads, as a worker chooses for itself: memory has fewer holes (docs/performance.md).
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SAGA_DATA_DIR=/data \
    SAGA_WEB_PORT=6066 \
    MALLOC_ARENA_MAX=2

WORKDIR /app

# Packages first: they change less often than the code, and their layer is kept.
COPY requirements-image.lock ./
RUN pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-image.lock

COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY saga_app saga_app
COPY agents agents
COPY tables tables
RUN pip install --no-cache-dir --no-build-isolation --no-deps '.[orders]'

# The worker needs nothing of root's; the volume takes over this folder's owner.
RUN useradd --system --uid 10001 saga && mkdir /data /orders && chown saga /data /orders
USER saga
VOLUME /data
EXPOSE 6066

CMD ["faust", "-A", "saga_app", "worker", "-l", "info"]
