// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshDataPlane
package import MeshModel
package import MeshStats
import Synchronization

/// Writes access logs on a thread of its own, so that a slow disk or a blocked stdout stops no worker.
///
/// Workers gather lines (`--file-flush-interval-msec`, `--file-flush-min-size-kb`) and append them whole to a file's queue,
/// under a lock that is held for the copy only. The thread writes what it finds. A full queue takes nothing more: the lines
/// are dropped and counted.
package final class LogWriter: AccessLogSink, LogFileSource {
    /// Bytes that may wait for one file. At 200 bytes a line and 50,000 lines a second this is 1.6 s of a stalled disk.
    package static let queueLimit = 16 << 20

    private struct File {
        let destination: AccessLogConfig.Destination
        var descriptor: Int32
        var queue: [UInt8] = []
    }

    private struct State {
        var files: [File] = []
        var isStopping = false
        var wantsReopen = false
        var counts = Counts()
    }

    /// What happened since the thread last published it as stats.
    private struct Counts {
        var bufferedWrites: UInt64 = 0
        var droppedLines: UInt64 = 0
    }

    private let state = Mutex(State())
    private let pipe = WakePipe()
    private let stats: LogWriterStats
    private let pages: StatPages
    private let thread: Mutex<NamedThread?> = Mutex(nil)

    package init(catalog: StatCatalog) {
        stats = catalog.declare(.literal("filesystem.")) { LogWriterStats(in: &$0) }
        pages = catalog.makePages()
    }

    /// Opens a destination and gives it a number; the same destination has one number.
    ///
    /// - Throws: `LogFileFailure`; the configuration that names the file is refused.
    package func open(_ destination: AccessLogConfig.Destination) throws(LogFileFailure) -> LogFileID {
        if let known = state.withLock({ $0.files.firstIndex { $0.destination == destination } }) {
            return LogFileID(rawValue: known)
        }
        let descriptor = try LogWriter.descriptor(for: destination)
        return state.withLock { state in
            state.files.append(File(destination: destination, descriptor: descriptor))
            return LogFileID(rawValue: state.files.count - 1)
        }
    }

    private static func descriptor(for destination: AccessLogConfig.Destination) throws(LogFileFailure) -> Int32 {
        switch destination {
        case .standardOutput: return STDOUT_FILENO
        case .standardError: return STDERR_FILENO
        case .file(let path):
            let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else {
                throw LogFileFailure("unable to open file '\(path)': \(String(cString: strerror(errno)))")
            }
            return descriptor
        }
    }

    package func write(_ lines: [UInt8], to file: LogFileID) -> Bool {
        let (taken, wakes) = state.withLock { state -> (Bool, Bool) in
            guard file.rawValue >= 0, file.rawValue < state.files.count else { return (false, false) }
            let waiting = state.files[file.rawValue].queue.count
            guard waiting + lines.count <= LogWriter.queueLimit else {
                state.counts.droppedLines += UInt64(lines.count { $0 == 0x0A })
                return (false, false)
            }
            state.counts.bufferedWrites += 1
            state.files[file.rawValue].queue += lines
            // One wake-up is enough for what gathers until the thread looks.
            return (true, waiting == 0)
        }
        if wakes { pipe.wake() }
        return taken
    }

    /// Opens every file again (SIGUSR1).
    package func reopen() {
        state.withLock { $0.wantsReopen = true }
        pipe.wake()
    }

    /// Starts the thread.
    package func start() {
        let started = NamedThread(name: "log") { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Writes what waits, for at most `LogWriter.stopPatience` per blocked file, and ends the thread.
    package func stop() {
        state.withLock { $0.isStopping = true }
        pipe.wake()
        thread.withLock { $0 }?.join()
        thread.withLock { $0 = nil }
    }

    /// How long a blocked file may hold the end of the process. - Unit: milliseconds.
    package static let stopPatience: Int32 = 1_000

    // MARK: The log thread

    private func run() {
        while true {
            var events = pollfd(fd: pipe.reader, events: Int16(POLLIN), revents: 0)
            poll(&events, 1, -1)
            pipe.drain()
            let (stops, reopens, batches, counts) = state.withLock { state in
                var batches: [(descriptor: Int32, bytes: [UInt8])] = []
                for index in state.files.indices where !state.files[index].queue.isEmpty {
                    batches.append((state.files[index].descriptor, state.files[index].queue))
                    state.files[index].queue = []
                }
                let result = (state.isStopping, state.wantsReopen, batches, state.counts)
                state.wantsReopen = false
                state.counts = Counts()
                return result
            }
            pages.add(stats.bufferedWrites, counts.bufferedWrites)
            pages.add(stats.droppedLines, counts.droppedLines)
            for batch in batches { write(batch.bytes, to: batch.descriptor, isStopping: stops) }
            if reopens { reopenFiles() }
            if stops { return }
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32, isStopping: Bool) {
        bytes.withUnsafeBytes { all in
            var rest = all[...]
            // A pipe that polls writable takes 4 KiB (PIPE_BUF) without blocking, however its flags are set; a regular file
            // takes everything.
            let piece = LogWriter.isRegularFile(descriptor) ? Int.max : 4_096
            while !rest.isEmpty {
                if piece < Int.max, !waitForRoom(descriptor, isStopping: isStopping) {
                    pages.add(stats.failedWrites)
                    return
                }
                let some = UnsafeRawBufferPointer(rebasing: rest.prefix(piece))
                let count = Glibc.write(descriptor, some.baseAddress, some.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if count < 0, errno == EINTR {
                    continue
                } else if count < 0, errno == EAGAIN, piece < Int.max {
                    continue
                } else {
                    pages.add(stats.failedWrites)
                    return
                }
            }
            pages.add(stats.completedWrites)
        }
    }

    private static func isRegularFile(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// Waits until stdout takes more; false when the process ends and it does not.
    private func waitForRoom(_ descriptor: Int32, isStopping: Bool) -> Bool {
        while true {
            var events = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&events, 1, LogWriter.stopPatience) > 0 { return true }
            if isStopping || state.withLock({ $0.isStopping }) { return false }
        }
    }

    private func reopenFiles() {
        let destinations = state.withLock { $0.files.map(\.destination) }
        for (index, destination) in destinations.enumerated() {
            guard case .file = destination else { continue }
            guard let fresh = try? LogWriter.descriptor(for: destination) else {
                // The old file goes on: lines in a renamed file are better than none.
                pages.add(stats.reopenFailed)
                continue
            }
            let old = state.withLock { state in
                defer { state.files[index].descriptor = fresh }
                return state.files[index].descriptor
            }
            close(old)
        }
    }
}

/// The log thread's stats. Scope `filesystem.`, as Envoy counts its file writers.
struct LogWriterStats: Sendable {
    let bufferedWrites: CounterID
    let completedWrites: CounterID
    let failedWrites: CounterID
    let reopenFailed: CounterID
    let droppedLines: CounterID

    init(in scope: inout StatScope) {
        bufferedWrites = scope.counter("write_buffered", "Batches of lines taken from workers.")
        completedWrites = scope.counter("write_completed", "Batches written.")
        failedWrites = scope.counter("write_failed", "Batches lost to an error of the file.")
        reopenFailed = scope.counter("reopen_failed", "Files that could not be opened again.")
        droppedLines = scope.counter("write_dropped", "Lines dropped because a file's queue was full.")
    }
}
