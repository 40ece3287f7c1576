# syntax=docker/dockerfile:1
# Builds serin, or takes what a release has built (`--build-arg SERIN=released`, from dist-image/<architecture>).
ARG SERIN=build

FROM rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1 AS build
WORKDIR /src
COPY . .
# Git is not in it: --build-arg SERIN_COMMIT=$(git rev-parse HEAD), for serin_build_info and `serin version`; SERIN_COMMIT_DATE likewise.
ARG SERIN_COMMIT
ARG SERIN_COMMIT_DATE
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin serin \
    && install -D target/dist/serin /out/serin \
    && cp LICENSE NOTICE src/ui/assets/vendor/*.LICENSE /out && cp src/report/font/LICENSE /out/Inter.LICENSE \
    && mkdir /out/data

FROM scratch AS released
ARG TARGETARCH
COPY dist-image/${TARGETARCH} /out

FROM ${SERIN} AS chosen

# The C library and certificates, no shell; as a user without rights.
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
LABEL org.opencontainers.image.title=serin \
    org.opencontainers.image.description="A Kayenta-compatible canary judge service" \
    org.opencontainers.image.licenses=Apache-2.0 \
    org.opencontainers.image.base.name=gcr.io/distroless/cc-debian12:nonroot
COPY --from=chosen /out/serin /usr/local/bin/serin
COPY --from=chosen /out/*LICENSE /out/NOTICE /out/THIRD-PARTY.htm[l] /usr/share/doc/serin/
# A new volume takes its owner from here.
COPY --from=chosen --chown=65532:65532 /out/data /var/lib/serin
USER 65532:65532
# Relative paths, such as the default of storage.directory, lie in the volume.
WORKDIR /var/lib/serin
VOLUME /var/lib/serin
# Loopback would end at the edge of the container.
ENV SERIN__SERVER__ADDRESS=0.0.0.0
EXPOSE 8090
# There is no curl to ask with.
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["/usr/local/bin/serin", "health"]
ENTRYPOINT ["/usr/local/bin/serin"]
CMD ["serve"]
