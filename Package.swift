// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// Settings of every Swift target. A warning is an error, so that the tree stays silent.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// swift-protobuf's generated code warns in places that are not ours to change.
let generated: [SwiftSetting] = [
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

func library(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")

// The import table of ARCHITECTURE.md; Tests/ArchitectureTests holds the same one against the sources.
let package = Package(
    name: "apus",
    products: [
        .executable(name: "apus", targets: ["apus"]),
        .executable(name: "meshbench", targets: ["meshbench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Level 0: C
        .systemLibrary(name: "CUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CCares", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CBytes"),
        .target(name: "CProcess"),
        // gnu23 for #embed, which carries v3.schema.
        .target(name: "CSchema", exclude: ["v3.schema"], cSettings: [.unsafeFlags(["-std=gnu23"])]),
        // The same for the page of admin.
        .target(name: "CPage", exclude: ["home.html"], cSettings: [.unsafeFlags(["-std=gnu23"])]),
        .target(name: "CRE2", cxxSettings: [.unsafeFlags(["-std=c++17"])], linkerSettings: [.linkedLibrary("re2")]),
        .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        // Level 0
        library("MeshIO", ["CBytes"]),
        library("MeshStats", []),
        library("MeshRegex", ["CRE2"]),
        // Level 1
        .target(
            name: "MeshProto", dependencies: ["CSchema", "MeshIO", protobuf, .product(name: "Yams", package: "Yams")],
            exclude: ["Protos"], swiftSettings: generated),
        library("MeshHTTP", ["MeshIO", "CBytes"]),
        library("MeshUV", ["MeshIO", "CUV", "CCares", "CLinux"]),
        library("MeshTLS", ["MeshIO", "COpenSSL"]),
        // Level 2
        library("MeshModel", ["MeshHTTP", "MeshIO", "MeshRegex"]),
        library("MeshHTTP2", ["MeshHTTP", "MeshIO", "CNghttp2"]),
        // Level 3
        library("MeshXDS", ["MeshModel", "MeshProto"]),
        library("MeshDataPlane", ["MeshModel", "MeshHTTP", "MeshHTTP2", "MeshTLS", "MeshIO", "MeshStats", "MeshProto", "MeshRegex"]),
        // Level 4
        library("MeshServer", ["MeshDataPlane", "MeshXDS", "MeshUV", "MeshTLS", "MeshStats", "MeshProto", "MeshModel", "MeshHTTP", "MeshIO", "MeshRegex", "CProcess", "CPage"]),
        // Level 5
        .executableTarget(
            name: "apus",
            dependencies: ["MeshServer", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict),
        .target(
            name: "MeshLoad",
            dependencies: ["MeshUV", "MeshTLS", "MeshHTTP", "MeshHTTP2", "MeshIO", "COpenSSL", .product(name: "Histogram", package: "hdrhistogram-swift")],
            swiftSettings: strict),
        .executableTarget(
            name: "meshbench",
            dependencies: ["MeshLoad", "MeshIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict),
        // Tests
        .target(
            name: "MeshTestKit", dependencies: ["MeshIO", "MeshHTTP", "MeshHTTP2", "MeshModel", "MeshProto", "MeshTLS", "COpenSSL"], path: "Tests/MeshTestKit",
            swiftSettings: strict),
        tests("MeshIOTests", ["MeshIO", "MeshTestKit"]),
        tests("MeshStatsTests", ["MeshStats"]),
        tests("MeshProtoTests", ["MeshProto", "MeshTestKit"]),
        tests("MeshRegexTests", ["MeshRegex"]),
        tests("MeshHTTPTests", ["MeshHTTP", "MeshIO", "MeshTestKit"]),
        tests("MeshHTTP2Tests", ["MeshHTTP2", "MeshHTTP", "MeshIO", "MeshTestKit"]),
        tests("MeshUVTests", ["MeshUV", "MeshIO"]),
        tests("MeshTLSTests", ["MeshTLS", "MeshIO", "COpenSSL", "MeshTestKit"]),
        tests("MeshModelTests", ["MeshModel", "MeshHTTP", "MeshRegex", "MeshIO", "MeshTestKit"]),
        tests("MeshXDSTests", ["MeshXDS", "MeshProto", "MeshModel", "MeshTestKit"]),
        tests("MeshDataPlaneTests", ["MeshDataPlane", "MeshModel", "MeshHTTP", "MeshTLS", "MeshIO", "MeshStats", "MeshTestKit"]),
        tests("MeshServerTests", ["MeshServer", "MeshDataPlane", "MeshXDS", "MeshStats", "MeshProto", "MeshModel", "MeshIO"]),
        .testTarget(name: "MeshLoadTests", dependencies: ["MeshLoad", "MeshIO", .product(name: "Histogram", package: "hdrhistogram-swift")], swiftSettings: strict),
        tests("ArchitectureTests", []),
    ],
    swiftLanguageModes: [.v6]
)

// The libFuzzer driver, built by Scripts/fuzz.sh alone: every target of ours is then instrumented.
if Context.environment["APUS_FUZZ"] != nil {
    package.targets += [
        .target(name: "CFuzz", path: "Tests/Fuzz/CFuzz"),
        .executableTarget(
            name: "apus-fuzz",
            dependencies: ["CFuzz", "MeshTestKit", "MeshDataPlane", "MeshHTTP", "MeshHTTP2", "MeshIO", "MeshModel", "MeshProto"],
            path: "Tests/Fuzz/ApusFuzz",
            swiftSettings: strict, linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]),
    ]
    package.products.append(.executable(name: "apus-fuzz", targets: ["apus-fuzz"]))
    for target in package.targets where target.swiftSettings != nil {
        target.swiftSettings?.append(.unsafeFlags(["-sanitize=fuzzer,address"]))
    }
}
