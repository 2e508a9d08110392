# All images of Portico. A service's, or the command's: `docker build --build-arg BINARY=order .`; nginx's: `--target nginx`.
# `make build` builds them all: they share one compilation.

# Bases. rust, postgres and nginx are pinned by version; distroless has no versions, so who wants it to stand still gives
# RUNTIME=gcr.io/distroless/cc-debian13@sha256:...
ARG RUST=docker.io/library/rust:1.95.0-slim-trixie
ARG RUNTIME=gcr.io/distroless/cc-debian13:nonroot
ARG NGINX=docker.io/library/nginx:1.30.6-trixie

# Dependencies are compiled into a cache that stays when the code changes. No database is asked: what the queries were
# checked against (.sqlx) and the migrations are part of the source.
FROM ${RUST} AS build
WORKDIR /portico
COPY . .
# Told by the metric `portico_build_info`.
ARG REVISION=unknown
ENV SQLX_OFFLINE=true CARGO_TERM_COLOR=never PORTICO_COMMIT=${REVISION}
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/portico/target,sharing=locked \
    cargo build --locked --release -p gateway -p user -p order -p payment -p portico && \
    for binary in gateway user order payment portico; do \
        install -D -t "/out/$binary" "target/release/$binary" && ln -s "$binary" "/out/$binary/service"; \
    done

# nginx with our configuration, which the official image's entrypoint fills in at each start.
FROM ${NGINX} AS nginx
COPY nginx/conf /usr/share/portico/nginx/conf
COPY nginx/njs /usr/share/portico/nginx/njs
COPY nginx/templates /etc/nginx/templates
COPY nginx/clear-cache /usr/local/bin/clear-cache
RUN install -d -o 101 -g 101 -m 0755 /run/nginx /var/cache/nginx
ENV NGINX_ENVSUBST_FILTER=NGINX_ \
    NGINX_ENVSUBST_OUTPUT_DIR=/run/nginx \
    NGINX_TREE=/usr/share/portico/nginx \
    NGINX_STATE_DIR=/var/cache/nginx \
    NGINX_ACCESS_LOG=/dev/stdout \
    NGINX_NJS_MODULE=/usr/lib/nginx/modules/ngx_http_js_module.so \
    NGINX_BODY_KEY=hash \
    NGINX_LISTEN=0.0.0.0:8080 \
    NGINX_GATEWAY=gateway:4000 \
    NGINX_RESOLVER=127.0.0.1 \
    NGINX_REQUESTS_PER_SECOND=200 \
    NGINX_CONNECTIONS_PER_ADDRESS=256 \
    NGINX_TRUSTED_PROXIES=192.0.2.0/32 \
    NGINX_TLS=off \
    NGINX_TLS_LISTEN=0.0.0.0:8443 \
    NGINX_TLS_CERTIFICATE= \
    NGINX_TLS_KEY=
USER 101:101
EXPOSE 8080 8443
# The requests under way end first.
STOPSIGNAL SIGQUIT
# The whole way to the gateway and back.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/health"]
CMD ["nginx", "-e", "stderr", "-c", "/run/nginx/nginx.conf", "-g", "daemon off;"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portico/nginx" \
      org.opencontainers.image.description="The cache and the limits before Portico's gateway" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"

# One binary and what it is linked to: glibc, certificates, time zones. No shell, no package manager, nobody's root.
FROM ${RUNTIME} AS service
ARG BINARY
COPY --from=build /out/${BINARY} /
# In a container, 127.0.0.1 is reached by nobody.
ENV GATEWAY_LISTEN=0.0.0.0:4000 GATEWAY_ADMIN_LISTEN=0.0.0.0:9400 \
    USER_LISTEN=0.0.0.0:50051 USER_ADMIN_LISTEN=0.0.0.0:9401 \
    ORDER_LISTEN=0.0.0.0:50052 ORDER_ADMIN_LISTEN=0.0.0.0:9402 \
    PAYMENT_LISTEN=0.0.0.0:50053 PAYMENT_ADMIN_LISTEN=0.0.0.0:9403 \
    LOG_FORMAT=json
WORKDIR /
USER 65532:65532
STOPSIGNAL SIGTERM
# `/service` is the binary itself by another name, since this form, which needs no shell, takes no variables.
ENTRYPOINT ["/service"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s CMD ["/service", "health"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portico/${BINARY}" \
      org.opencontainers.image.description="Portico: the binary ${BINARY}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
