// SPDX-License-Identifier: Apache-2.0
import CProcess
import Glibc
import Synchronization

/// A thread that runs one function; for those threads that run no event loop of MeshUV.
final class NamedThread: Sendable {
    private let name: String
    private let body: @Sendable () -> Void
    private let thread: Mutex<pthread_t?> = Mutex(nil)

    /// Starts at once.
    /// - Parameter name: shown by ps and top, cut to 15 bytes.
    init(name: String, _ body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
        var started = pthread_t()
        let status = pthread_create(&started, nil, { argument in
            guard let argument else { return nil }
            let me = Unmanaged<NamedThread>.fromOpaque(argument).takeRetainedValue()
            apus_set_thread_name(me.name)
            me.body()
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        // Without threads there is no server to speak of.
        precondition(status == 0, "cannot start a thread")
        let identity = started
        thread.withLock { $0 = identity }
    }

    /// Waits for the function to return. Once; later calls return at once.
    func join() {
        let ending = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let ending { pthread_join(ending, nil) }
    }
}

/// A pipe that makes another thread's `poll` return.
final class WakePipe: Sendable {
    /// The end to poll.
    let reader: Int32
    private let writer: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        let status = apus_wake_pipe(&ends)
        // Out of descriptors before anything was opened: nothing could run.
        precondition(status == 0, "no pipe")
        reader = ends[0]
        writer = ends[1]
    }

    deinit {
        close(reader)
        close(writer)
    }

    /// Any thread; coalesces.
    func wake() {
        var byte: UInt8 = 0
        _ = Glibc.write(writer, &byte, 1)
    }

    /// Empties the pipe; the polling thread only.
    func drain() {
        var bytes: [UInt8] = Array(repeating: 0, count: 64)
        while read(reader, &bytes, bytes.count) > 0 {}
    }
}
