// SPDX-License-Identifier: Apache-2.0

/// Envoy's profiling paths. Apus has no profiler in it; it answers as an Envoy that was built without one does.
extension AdminEndpoints {
    static let contention = LocalResponse(
        "Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.")

    static func cpuProfiler(_ request: LocalRequest) -> LocalResponse {
        switch request.parameter("enable") {
        case "y": LocalResponse(500, "failure to start the profiler")
        case "n": LocalResponse("OK\n")
        default: profilerUsage
        }
    }

    static func allocationProfiler(_ request: LocalRequest) -> LocalResponse {
        switch request.parameter("enable") {
        case "y": LocalResponse(501, "The current build does not support allocation profiler")
        case "n": LocalResponse(400, "Allocation profiler is not started")
        default: profilerUsage
        }
    }

    static let heapProfiler = LocalResponse(501, "The current build does not support heap profiler")
    static let heapDump = LocalResponse(501, "Heap dump is not supported")

    private static let profilerUsage = LocalResponse(400, "?enable=<y|n>\n")
}
