// SPDX-License-Identifier: Apache-2.0
import CFuzz
import Glibc
import MeshDataPlane
import MeshProto

/// The libFuzzer driver. `APUS_FUZZ_TARGET` chooses what the bytes are; Scripts/fuzz.sh runs each for a while.
@main
enum ApusFuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        switch getenv("APUS_FUZZ_TARGET").map({ String(cString: $0) }) {
        case "bootstrap": exit(LLVMFuzzerRunDriver(&count, &arguments, runBootstrap))
        case "codec": exit(LLVMFuzzerRunDriver(&count, &arguments, runCodec))
        case "http2": exit(LLVMFuzzerRunDriver(&count, &arguments, runHTTP2))
        case "expression": exit(LLVMFuzzerRunDriver(&count, &arguments, runExpression))
        case "path": exit(LLVMFuzzerRunDriver(&count, &arguments, runPath))
        case "matcher": exit(LLVMFuzzerRunDriver(&count, &arguments, runMatcher))
        case "tls-inspector": exit(LLVMFuzzerRunDriver(&count, &arguments, runTLSInspector))
        default: fatalError("APUS_FUZZ_TARGET is bootstrap, codec, expression, http2, path, matcher or tls-inspector")
        }
    }
}

// Free functions: a C function pointer may capture nothing, not even a type.

private func runBootstrap(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    fuzzBootstrap(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

private func runCodec(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    CodecTarget.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

private func runHTTP2(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    HTTP2Target.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

private func runExpression(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    ExpressionTarget.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

private func runPath(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    PathTarget.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

private func runMatcher(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    MatcherTarget.run(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}

private func runTLSInspector(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    fuzzTLSInspector(Array(UnsafeBufferPointer(start: data, count: size)))
    return 0
}
