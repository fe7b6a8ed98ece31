# hrpose-rt on a CPU:  docker build -t hrpose-rt .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
# OpenCV for machines without a screen replaces the other one, which needs the libraries of X11.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY hrpose_rt hrpose_rt
COPY models models
RUN python -m venv /opt/hrpose \
    && /opt/hrpose/bin/pip install --no-cache-dir --constraint constraints.txt '.[live,triton]' \
    && /opt/hrpose/bin/pip uninstall --yes opencv-python \
    && /opt/hrpose/bin/pip install --no-cache-dir opencv-python-headless==5.0.0.93

FROM python:3.12-slim-bookworm
# The embedded engines come with the package. HRPOSE_HOME keeps what is compiled for this machine.
RUN useradd --uid 1000 --create-home hrpose \
    && mkdir /cache /data \
    && chown hrpose:hrpose /cache /data
COPY --from=build /opt/hrpose /opt/hrpose
ENV PATH=/opt/hrpose/bin:$PATH HRPOSE_HOME=/cache PYTHONUNBUFFERED=1
USER 1000
WORKDIR /data
VOLUME ["/cache"]
EXPOSE 8000
# For runs with --serve 8000; `docker run --no-healthcheck` is for those without it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["hrpose-rt"]
CMD ["--help"]
