# jetassay and everything of the lock, for any user id; see docs/howto-batch.md.
#   docker build -t jetassay .                                                        torch as PyPI gives it (CUDA)
#   docker build -t jetassay --build-arg EXTRA_INDEX=https://download.pytorch.org/whl/cpu .     the CPU build (x86-64)
FROM python:3.11-slim-bookworm AS build
ARG EXTRA_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_EXTRA_INDEX_URL=${EXTRA_INDEX}
WORKDIR /build
RUN python -m venv /opt/jetassay
ENV PATH=/opt/jetassay/bin:$PATH
# The lock first: this layer is made again only where it changes.
COPY requirements.txt requirements-cuda.txt ./
RUN pip install --no-deps --require-hashes -r requirements.txt \
 && { pip check || pip install --no-deps --require-hashes -r requirements-cuda.txt; }
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY models models
COPY suites suites
RUN pip install --no-deps --no-build-isolation . && pip check

FROM python:3.11-slim-bookworm
COPY --from=build /opt/jetassay /opt/jetassay
ENV PATH=/opt/jetassay/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    JETASSAY_CACHE=/cache \
    JETASSAY_WORKSPACE=/work
RUN mkdir -m 1777 /cache /work && useradd --uid 1000 --no-create-home jetassay
USER 1000
WORKDIR /work
VOLUME ["/cache", "/work"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["jetassay"]
CMD ["--help"]
