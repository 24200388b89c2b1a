# Two stages: the first resolves and builds, the second holds what runs.
FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir 'uv>=0.13,<0.14'
WORKDIR /src
ENV UV_PROJECT_ENVIRONMENT=/opt/onward UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --no-install-project
COPY src ./src
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin onward \
    && install -d -o onward -g onward -m 0700 /data
COPY --from=build /opt/onward /opt/onward
ENV PATH=/opt/onward/bin:$PATH PYTHONUNBUFFERED=1 ONWARD_DATA=/data
# By number: whoever must know that it is not root cannot ask the image for names.
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Beyond loopback the server starts only with ONWARD_TOKEN set (or --open).
CMD ["onward", "serve", "--host", "0.0.0.0", "--port", "8000"]
