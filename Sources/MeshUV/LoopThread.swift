// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import MeshIO
import Synchronization

/// A thread that runs one loop.
///
/// The loop is made on the thread, and so is everything `setUp` makes: none of it is Sendable, and none of it leaves.
package final class LoopThread: Sendable {
    private enum Phase: Sendable {
        case starting
        case running(any Waker)
        case stopping
    }

    private let phase = Mutex(Phase.starting)
    private let thread: Mutex<pthread_t?> = Mutex(nil)
    private let name: String
    private let cpu: Int?
    private let setUp: @Sendable (UVLoop) -> AnyObject?

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - name: shown by ps and top, cut to 15 bytes.
    ///   - cpu: pins the thread to this one of the process's CPUs (modulo their number); nil leaves it free.
    ///   - setUp: called on the thread before the loop runs; its result lives until every stream of the loop is closed.
    package init(name: String, cpu: Int? = nil, setUp: @escaping @Sendable (UVLoop) -> AnyObject?) {
        self.name = name
        self.cpu = cpu
        self.setUp = setUp
        var started = pthread_t()
        let status = pthread_create(&started, nil, { argument in
            guard let argument else { return nil }
            Unmanaged<LoopThread>.fromOpaque(argument).takeRetainedValue().main()
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        // Without threads there is no proxy to speak of.
        precondition(status == 0, "cannot start a thread")
        let identity = started
        thread.withLock { $0 = identity }
    }

    /// Makes the loop return after its current turn; its connections are closed. Any thread, any number of times.
    package func stop() {
        let waker: (any Waker)? = phase.withLock { phase in
            defer { phase = .stopping }
            if case .running(let waker) = phase { return waker }
            return nil
        }
        waker?.wake()
    }

    /// Waits for the thread to end. Once; later calls return at once.
    package func join() {
        let ending = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let ending { pthread_join(ending, nil) }
    }

    private func main() {
        apus_name_thread(name)
        if let cpu { _ = apus_pin_thread(Int32(truncatingIfNeeded: cpu)) }
        let loop = UVLoop()
        var context = setUp(loop)
        let waker = loop.makeWaker { [unowned loop] in loop.stop() }
        let mayRun = phase.withLock { phase in
            if case .stopping = phase { return false }
            phase = .running(waker)
            return true
        }
        if mayRun { loop.run() }
        loop.closeHandles()
        withExtendedLifetime(context) {}
        context = nil
        loop.close()
    }
}
