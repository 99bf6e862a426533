# The image of a model's runs: its module, and what that needs, on top of the image of the flows. The context is what
# deployments/model-image.sh gathers.
ARG FLOW
ARG BASE=python:3.11-slim-bookworm

# The image of the flows holds no pip.
FROM ${BASE} AS pip
RUN python3 -c "import pathlib, pip, shutil; shutil.copytree(pathlib.Path(pip.__file__).parent, '/opt/pip/pip')"

FROM ${FLOW}
USER root
# On top of what is there, which stays as it is: else the same settings would have other keys here.
COPY requirements.txt /model/
RUN --mount=type=bind,from=pip,source=/opt/pip,target=/opt/pip --mount=type=cache,target=/root/.cache/pip \
    [ ! -s /model/requirements.txt ] || { \
        python -c "from importlib.metadata import distributions as d; \
            print(*sorted({f'{one.name}=={one.version}' for one in d()}), sep='\n')" > /tmp/present.txt && \
        PYTHONPATH=/opt/pip HOME=/root python -m pip --disable-pip-version-check install --root-user-action ignore \
            --requirement /model/requirements.txt --constraint /tmp/present.txt && \
        rm /tmp/present.txt; }
ARG MODEL
COPY module /model
ENV MODEL=${MODEL} \
    PYTHONPATH=/opt/slipway:/model
RUN python -m compileall -q /model
USER 10001:10001
LABEL org.opencontainers.image.title="Slipway: flows, with the module of a model"
