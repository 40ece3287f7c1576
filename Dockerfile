# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin serin \
    && install -D target/dist/serin /out/serin \
    && mkdir /out/data

# The C library and certificates, no shell; as a user without rights.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/serin /usr/local/bin/serin
# A new volume takes its owner from here.
COPY --from=build --chown=nonroot:nonroot /out/data /var/lib/serin
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
