# docker build -t broadcaster .; "broadcaster compose" prints the file that runs it with Docker Compose.
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/broadcaster
RUN /opt/broadcaster/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.12-slim
COPY --from=build /opt/broadcaster /opt/broadcaster
RUN install -d -o 65534 -g 65534 -m 700 /run/broadcaster
RUN install -d /etc/broadcaster
ENV PATH=/opt/broadcaster/bin:$PATH BROADCASTER_SERVER_CONTROL=/run/broadcaster/broadcaster.sock
USER 65534:65534
WORKDIR /etc/broadcaster
EXPOSE 6001
HEALTHCHECK --interval=30s --timeout=10s CMD ["broadcaster", "status"]
ENTRYPOINT ["broadcaster"]
CMD ["start"]
