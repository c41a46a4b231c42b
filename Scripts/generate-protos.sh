#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes Sources/MeshProto/Generated/*.pb.swift from Sources/MeshProto/Protos.
#
# Usage: Scripts/generate-protos.sh
# Needs: protoc. The plugin is built once from the swift-protobuf that Package.swift asks for;
#        set PROTOC_GEN_SWIFT to a ready-made one to skip that.
set -eu
cd "$(dirname "$0")/.."
protos=Sources/MeshProto/Protos
out=Sources/MeshProto/Generated

plugin=${PROTOC_GEN_SWIFT:-}
if [ -z "$plugin" ]; then
    swift package resolve
    swift build --package-path .build/checkouts/swift-protobuf --scratch-path .build/protoc-gen-swift \
        -c release --product protoc-gen-swift
    plugin=.build/protoc-gen-swift/release/protoc-gen-swift
fi

rm -rf "$out"
mkdir -p "$out"
# PathToUnderscores, for SwiftPM wants file names unique within a target.
find "$protos" -name '*.proto' | sed "s|^$protos/||" | LC_ALL=C sort | xargs protoc \
    --plugin=protoc-gen-swift="$plugin" \
    --swift_opt=Visibility=Package \
    --swift_opt=FileNaming=PathToUnderscores \
    --proto_path="$protos" --swift_out="$out"
echo "$(ls "$out" | wc -l) files in $out"
