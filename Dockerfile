# syntax=docker/dockerfile:1
# One environment in three sizes, built from the same locks as .venv/:
#   spark    master and workers of the Spark cluster: no torch
#   airflow  every Airflow process: torch for encoding and evaluation
#   trainer  the worker of the `gpu` queue: torch and Horovod compiled for it
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless libexpat1 libgomp1 procps tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 50000 --create-home seaice \
    && install -d -o seaice -g seaice /var/lib/seaice /var/lib/airflow
ENV PATH=/opt/seaice/.venv/bin:$PATH \
    PYTHON=/opt/seaice/.venv/bin/python \
    PYTHONUNBUFFERED=1 \
    PYSPARK_PYTHON=/opt/seaice/.venv/bin/python \
    OMP_NUM_THREADS=1 \
    SEAICE_HOME=/var/lib/seaice \
    SEAICE_CONFIG=/opt/seaice/config/seaice.yaml \
    AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/seaice/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/seaice/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
WORKDIR /opt/seaice
ENTRYPOINT ["tini", "-g", "--", "/opt/seaice/containers/with-address"]

FROM base AS packages
COPY requirements/bootstrap.lock requirements/runtime.lock requirements/
RUN --mount=type=cache,target=/root/.cache \
    python -m venv .venv \
    && .venv/bin/python -m pip install --require-hashes --only-binary :all: -r requirements/bootstrap.lock \
    && .venv/bin/uv pip install --python .venv/bin/python --require-hashes --no-deps -r requirements/runtime.lock

FROM packages AS with-torch
ARG SEAICE_TORCH=torch==2.13.0
ARG SEAICE_TORCH_INDEX=
COPY scripts/install-torch scripts/
RUN --mount=type=cache,target=/root/.cache scripts/install-torch

FROM with-torch AS horovod
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make \
    && rm -rf /var/lib/apt/lists/*
COPY scripts/build-horovod scripts/
RUN scripts/build-horovod /opt/wheels

# What every image adds to its packages: the code, its DAGs and plugins, its configuration.
FROM base AS code
COPY LICENSE NOTICE pyproject.toml README.md ./
COPY config config
COPY containers containers
COPY dags dags
COPY plugins plugins
COPY seaice_ops seaice_ops

FROM base AS spark
COPY --from=packages /opt/seaice/.venv .venv
COPY --from=code /opt/seaice .
RUN python -m pip install --no-deps --no-build-isolation --no-cache-dir . && rm -rf build seaice_ops
USER seaice

FROM base AS airflow
COPY --from=with-torch /opt/seaice/.venv .venv
COPY --from=code /opt/seaice .
RUN python -m pip install --no-deps --no-build-isolation --no-cache-dir . && rm -rf build seaice_ops
USER seaice

FROM airflow AS trainer
USER root
COPY --from=horovod /opt/wheels /opt/wheels
RUN python -m pip install --no-deps --no-cache-dir /opt/wheels/horovod-*.whl
USER seaice
