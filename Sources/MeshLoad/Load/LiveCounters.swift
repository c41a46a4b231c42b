// SPDX-License-Identifier: Apache-2.0
import MeshIO
import Synchronization

/// What a worker tells while it runs; written by it alone, read by whoever shows progress.
final class LiveCounters: Sendable {
    let ready = Atomic<Int>(0)
    let completed = Atomic<UInt64>(0)
    let failed = Atomic<UInt64>(0)
    let backlog = Atomic<Int>(0)
    /// Of all answers so far, in nanoseconds, and the slowest since it was last taken.
    let latencySum = Atomic<UInt64>(0)
    let slowest = Atomic<UInt64>(0)
    let isDone = Atomic<Bool>(false)
}

/// The moment all workers begin at, and what wakes them for it.
final class StartSignal: Sendable {
    private let wakers = Mutex<[any Waker]>([])
    private let moment = Atomic<UInt64>(0)

    /// 0 until `start`. - Unit: nanoseconds on the monotonic clock.
    var time: UInt64 { moment.load(ordering: .acquiring) }

    func register(_ waker: any Waker) { wakers.withLock { $0.append(waker) } }

    func start(at time: UInt64) {
        moment.store(time, ordering: .releasing)
        for waker in wakers.withLock({ $0 }) { waker.wake() }
    }
}

/// What a worker leaves behind.
struct WorkerResult: Sendable {
    let recorder: LatencyRecorder
    /// Processor time of the worker's thread over wall time during the measured time.
    let busyShare: Double
    /// The same for the time it was ready to run and had no core.
    let waitShare: Double
    /// Why connections failed, the last one.
    let lastConnectError: String?
}

/// Where workers put their results.
final class ResultBox: Sendable {
    private let results = Mutex<[WorkerResult]>([])
    private let connectError = Mutex<String?>(nil)
    func add(_ result: WorkerResult) { results.withLock { $0.append(result) } }
    /// Why a connection could not be made, the last time.
    var lastConnectError: String? { connectError.withLock { $0 } }
    func noteConnectError(_ text: String) { connectError.withLock { $0 = text } }
    func takeAll() -> [WorkerResult] { results.withLock { $0 } }
}
