# The images of tend; docs/docker.md says how to build, run and extend them.
#   the default    on BASE, with a shell, for workloads of any kind
#   distroless     tend and what it loads, nothing else
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS deps
WORKDIR /src
COPY .ci/deps .ci/deps
RUN .ci/deps build && apt-get install -y -q --no-install-recommends ca-certificates

FROM deps AS builder
COPY . .
RUN make -s -j"$(nproc)" install PREFIX=/opt/tend BUNDLE=1 \
 && strip --strip-unneeded /opt/tend/bin/tend /opt/tend/lib/tend/tend-* /opt/tend/lib/tend/parts/*.so \
 && rm -r /opt/tend/share/man \
 && deploy/image/bundle.sh /opt/tend
# the file system of the distroless image
RUN mkdir -p /root-fs/etc/ssl/certs /root-fs/opt \
 && cp -a /opt/tend /root-fs/opt/ \
 && deploy/image/bundle.sh --glibc /opt/tend /root-fs \
 && cp /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ \
 && printf 'root:x:0:0:root:/:/nologin\ntend:x:10001:10001:tend:/app:/nologin\n' >/root-fs/etc/passwd \
 && printf 'root:x:0:\ntend:x:10001:\n' >/root-fs/etc/group \
 && for t in d/dumb l/linux s/screen s/screen-256color t/tmux t/tmux-256color v/vt100 x/xterm x/xterm-256color; do \
      install -D -m 644 "/lib/terminfo/$t" "/root-fs/lib/terminfo/$t"; done \
 && echo 'hosts: files dns' >/root-fs/etc/nsswitch.conf \
 && install -d -m 1777 /root-fs/tmp \
 && install -d -o 10001 -g 0 -m 775 /root-fs/app /root-fs/app/logs /root-fs/app/data /root-fs/app/data/input /root-fs/app/output

FROM scratch AS distroless
COPY --from=builder /root-fs/ /
ENV PATH=/opt/tend/bin CONTAINER_LOG_STREAM=stdout
WORKDIR /app
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=150s --retries=3 CMD ["/opt/tend/bin/tend", "health"]
ENTRYPOINT ["/opt/tend/bin/tend"]
CMD ["run"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tend" \
      org.opencontainers.image.description="Starts, watches and stops what runs in a container (distroless)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM ${BASE} AS tend
# /app is the user's; its group 0 is for platforms that choose the uid
RUN groupadd --gid 10001 tend \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin tend \
 && install -d -o 10001 -g 0 -m 775 /app /app/logs /app/data /app/data/input /app/output
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=builder /opt/tend /opt/tend
ENV PATH=/opt/tend/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CONTAINER_LOG_STREAM=stdout
WORKDIR /app
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=150s --retries=3 CMD ["/opt/tend/bin/tend", "health"]
ENTRYPOINT ["/opt/tend/bin/tend"]
CMD ["run"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tend" \
      org.opencontainers.image.description="Starts, watches and stops what runs in a container" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
