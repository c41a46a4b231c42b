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
        /// Bytes the thread has taken and not written yet: they count towards the limit.
        var taken = 0
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
        var timerFlushes: UInt64 = 0
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

    package func write(_ lines: [UInt8], to file: LogFileID, byTimer: Bool) -> Bool {
        let (isTaken, wakes) = state.withLock { state -> (Bool, Bool) in
            guard file.rawValue >= 0, file.rawValue < state.files.count else { return (false, false) }
            let waiting = state.files[file.rawValue].queue.count
            guard waiting + state.files[file.rawValue].taken + lines.count <= LogWriter.queueLimit else {
                state.counts.droppedLines += LogWriter.lineCount(lines[...])
                return (false, false)
            }
            state.counts.bufferedWrites += 1
            if byTimer { state.counts.timerFlushes += 1 }
            state.files[file.rawValue].queue += lines
            // One wake-up is enough for what gathers until the thread looks.
            return (true, waiting == 0)
        }
        if wakes { pipe.wake() }
        return isTaken
    }

    private static func lineCount(_ bytes: ArraySlice<UInt8>) -> UInt64 { UInt64(bytes.count { $0 == 0x0A }) }

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

    /// What the thread has taken for one file. A reader of stdout that does not read holds up its own lines only.
    private struct Output {
        var descriptor: Int32
        /// A regular file takes everything at once, at the disk's pace; anything else is asked first.
        var isRegular: Bool
        var bytes: [UInt8] = []
        var written = 0

        var isEmpty: Bool { written == bytes.count }
    }

    private func run() {
        var outputs: [Output] = []
        var patience: Int32 = -1
        while true {
            wait(for: outputs, patience)
            let (stops, reopens, counts) = take(into: &outputs)
            pages.add(stats.bufferedWrites, counts.bufferedWrites)
            pages.add(stats.timerFlushes, counts.timerFlushes)
            pages.add(stats.droppedLines, counts.droppedLines)
            var hasProgress = false
            for index in outputs.indices where !outputs[index].isEmpty {
                if write(&outputs[index]) { hasProgress = true }
            }
            publish(outputs)
            if reopens { reopenFiles(&outputs) }
            guard stops else { continue }
            let isDone = outputs.allSatisfy(\.isEmpty)
            // A file that has taken nothing for as long as we wait for it takes nothing any more.
            if isDone || (patience >= 0 && !hasProgress) {
                for index in outputs.indices where !outputs[index].isEmpty { lose(&outputs[index]) }
                return
            }
            patience = LogWriter.stopPatience
        }
    }

    /// Until there is something to take, or a blocked file has room.
    private func wait(for outputs: [Output], _ patience: Int32) {
        var events = [pollfd(fd: pipe.reader, events: Int16(POLLIN), revents: 0)]
        for output in outputs where !output.isEmpty {
            events.append(pollfd(fd: output.descriptor, events: Int16(POLLOUT), revents: 0))
        }
        poll(&events, nfds_t(events.count), patience)
        if events[0].revents != 0 { pipe.drain() }
    }

    private func take(into outputs: inout [Output]) -> (stops: Bool, reopens: Bool, Counts) {
        state.withLock { state in
            for index in state.files.indices {
                if index == outputs.count {
                    let descriptor = state.files[index].descriptor
                    outputs.append(Output(descriptor: descriptor, isRegular: LogWriter.isRegularFile(descriptor)))
                }
                guard !state.files[index].queue.isEmpty else { continue }
                state.files[index].taken += state.files[index].queue.count
                if outputs[index].isEmpty {
                    outputs[index].bytes = state.files[index].queue
                    outputs[index].written = 0
                } else {
                    outputs[index].bytes += state.files[index].queue
                }
                state.files[index].queue = []
            }
            defer {
                state.wantsReopen = false
                state.counts = Counts()
            }
            return (state.isStopping, state.wantsReopen, state.counts)
        }
    }

    /// Writes what the file takes without holding up the others; false when it took nothing.
    private func write(_ output: inout Output) -> Bool {
        // A pipe that polls writable takes 4 KiB (PIPE_BUF) without blocking, however its flags are set.
        let piece = output.isRegular ? Int.max : 4_096
        let start = output.written
        while !output.isEmpty {
            if !output.isRegular {
                var events = pollfd(fd: output.descriptor, events: Int16(POLLOUT), revents: 0)
                guard poll(&events, 1, 0) > 0 else { break }
            }
            let count = output.bytes[output.written...].prefix(piece).withUnsafeBytes {
                Glibc.write(output.descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 {
                output.written += count
            } else if count < 0, errno == EINTR || (errno == EAGAIN && !output.isRegular) {
                continue
            } else {
                lose(&output)
                return true
            }
        }
        if output.isEmpty {
            pages.add(stats.completedWrites)
            output.bytes = []
            output.written = 0
        }
        return output.written != start || output.isEmpty
    }

    /// What waits is lost: the disk is full, the pipe has no reader, or the process ends.
    private func lose(_ output: inout Output) {
        pages.add(stats.failedWrites)
        pages.add(stats.droppedLines, LogWriter.lineCount(output.bytes[output.written...]))
        output.bytes = []
        output.written = 0
    }

    private func publish(_ outputs: [Output]) {
        var total = 0
        state.withLock { state in
            for index in outputs.indices {
                state.files[index].taken = outputs[index].bytes.count - outputs[index].written
                total += state.files[index].taken + state.files[index].queue.count
            }
        }
        pages.set(stats.totalBuffered, UInt64(total))
    }

    private static func isRegularFile(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private func reopenFiles(_ outputs: inout [Output]) {
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
            guard index < outputs.count else { continue }
            outputs[index].descriptor = fresh
            outputs[index].isRegular = LogWriter.isRegularFile(fresh)
        }
    }
}

/// The log thread's stats. Scope `filesystem.`, as Envoy counts its file writers.
struct LogWriterStats: Sendable {
    let bufferedWrites: CounterID
    let completedWrites: CounterID
    let failedWrites: CounterID
    let reopenFailed: CounterID
    let timerFlushes: CounterID
    let droppedLines: CounterID
    let totalBuffered: GaugeID

    init(in scope: inout StatScope) {
        bufferedWrites = scope.counter("write_buffered", "Batches of lines taken from workers.")
        completedWrites = scope.counter("write_completed", "Batches written.")
        failedWrites = scope.counter("write_failed", "Times that what waited for a file was lost to an error of it.")
        reopenFailed = scope.counter("reopen_failed", "Files that could not be opened again.")
        timerFlushes = scope.counter("flushed_by_timer", "Batches handed over by the flush interval, not by their size.")
        droppedLines = scope.counter("write_dropped", "Lines lost: a file's queue was full, or the file took nothing more.")
        totalBuffered = scope.gauge("write_total_buffered", "Bytes that wait for their files.")
    }
}
