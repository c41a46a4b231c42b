// SPDX-License-Identifier: Apache-2.0
import CProcess
import MeshDataPlane
import MeshIO
import MeshModel
import MeshStats
import MeshUV

/// One worker: its thread, and the only reference to it that others hold.
struct WorkerThread {
    let handle: WorkerHandle
    private let thread: LoopThread

    /// Starts a worker. Everything it owns is made on its own thread.
    ///
    /// - Parameter report: called on the worker's thread; hands the event to the control thread.
    init(
        index: Int, options: ServerOptions, pages: StatPages, declarations: WorkerStats, sink: any AccessLogSink,
        node: NodeIdentity, limit: ConnectionLimit, report: @escaping @Sendable (WorkerEvent) -> Void
    ) {
        let handle = WorkerHandle()
        self.handle = handle
        let seed = WorkerThread.randomSeed()
        let hostAddress = HostAddress.find(options.localAddressIPVersion)
        thread = LoopThread(name: "wrk:\(index)", cpu: options.cpusetThreads ? index : nil) { loop in
            let code = CodePages(loop: loop)
            loop.onPagesReturned = { code.forgetSoon() }
            return Worker(
                index: index, loop: loop, handle: handle, stats: pages, declarations: declarations, sink: sink,
                logFlushBytes: Int(options.fileFlushMinSizeKilobytes) << 10,
                logFlushInterval: UInt64(options.fileFlushIntervalMilliseconds) * 1_000_000, node: node,
                explanations: WorkerThread.explanations(options.explanations),
                connectionLimit: limit, seed: seed,
                hostAddress: hostAddress, report: report, stopLoop: { [unowned loop] in loop.stop() })
        }
    }

    private static func explanations(_ option: ServerOptions.Explanations) -> ReplyExplanations {
        switch option {
        case .off: .off
        case .trusted: .trusted
        case .all: .everyone
        }
    }

    /// Waits for the thread, after it was told to stop.
    func join() { thread.join() }

    /// From the kernel: balancing and request ids of two processes must not run in step.
    private static func randomSeed() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
