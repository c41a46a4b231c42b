// SPDX-License-Identifier: Apache-2.0
import CFuzz
import Glibc
import MeshProto

/// The libFuzzer driver. `APUS_FUZZ_TARGET` chooses what the bytes are; Scripts/fuzz.sh runs each for a while.
@main
enum ApusFuzz {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        let body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
        switch getenv("APUS_FUZZ_TARGET").map({ String(cString: $0) }) {
        case "bootstrap": body = { data, size in run(data, size, fuzzBootstrap) }
        case "codec": body = { data, size in run(data, size, CodecTarget.run) }
        default: fatalError("APUS_FUZZ_TARGET is bootstrap or codec")
        }
        exit(LLVMFuzzerRunDriver(&count, &arguments, body))
    }

    private static func run(_ data: UnsafePointer<UInt8>?, _ size: Int, _ body: ([UInt8]) -> Void) -> Int32 {
        body(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    }
}
