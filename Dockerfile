# SPDX-License-Identifier: Apache-2.0
# docker build -t apus . && docker run --read-only -v $PWD/envoy.yaml:/etc/apus/envoy.yaml apus -c /etc/apus/envoy.yaml

FROM swift:6.3-bookworm AS build
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libuv1-dev libnghttp2-dev libre2-dev libssl-dev pkg-config binutils
WORKDIR /src
COPY Package.swift ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib -Xswiftc -use-ld=lld --product apus \
    && strip --strip-unneeded .build/release/apus \
    # The binary and exactly the libraries it names, at the paths the loader looks in.
    && mkdir -p /image/usr/local/bin \
    && cp .build/release/apus /image/usr/local/bin/ \
    && ldd .build/release/apus | grep -oE '/[^ ]+' | sort -u | xargs -I{} cp --parents -L {} /image

FROM scratch
COPY --from=build /image /
# Istio's proxy user. Nothing is written to the file system, so the root may be read-only.
USER 1337:1337
ENTRYPOINT ["/usr/local/bin/apus"]
