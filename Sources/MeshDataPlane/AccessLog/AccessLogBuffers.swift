// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshRegex
import MeshStats

/// Access-log lines of one worker on their way to the log writer: rendered into a buffer per file, handed over when the
/// buffer is full and when the flush interval has passed.
final class AccessLogBuffers: TimerTarget {
    private let loop: EventLoop
    private let sink: any AccessLogSink
    private var files: ContiguousArray<ByteSink?> = []
    private var timer = TimerID.none
    /// Bytes at which a file's lines are handed over at once (`--file-flush-min-size-kb`).
    private let flushBytes: Int
    private let flushInterval: UInt64
    /// Compiled patterns of header filters, by `HeaderPredicate.regex`.
    private var regexes: ContiguousArray<Regex?> = []
    private var random: RandomSource

    init(loop: EventLoop, sink: any AccessLogSink, flushBytes: Int = 64 << 10, flushInterval: UInt64 = 1_000_000_000, seed: UInt64) {
        self.loop = loop
        self.sink = sink
        self.flushBytes = flushBytes
        self.flushInterval = flushInterval
        random = RandomSource(seed: seed)
        timer = loop.timers.make(target: self)
    }

    /// Writes a record to every log whose filter admits it.
    func write(_ logs: borrowing CompiledAccessLogs, _ subject: some AccessLogSubject) {
        logs.logs.withUnsafeBufferPointer { all in
            for index in all.indices { write(all.baseAddress.unsafelyUnwrapped + index, subject) }
        }
    }

    private func write(_ log: UnsafePointer<CompiledAccessLog>, _ subject: some AccessLogSubject) {
        if let filter = log.pointee.filter, !filter.admits(subject, random: random.next()) { return }
        let lines = lines(of: log.pointee.file)
        log.pointee.format.write(to: lines, context: subject)
        if lines.count >= flushBytes {
            handOver(lines, log.pointee.file.rawValue)
        } else if !loop.timers.isArmed(timer) {
            loop.timers.arm(timer, at: loop.now.advanced(byNanoseconds: flushInterval))
        }
    }

    private func lines(of file: LogFileID) -> ByteSink {
        while files.count <= file.rawValue { files.append(nil) }
        if let known = files[file.rawValue] { return known }
        let made = ByteSink(capacity: 4096)
        files[file.rawValue] = made
        return made
    }

    /// Whether the headers meet the condition of a filter.
    func meets(_ predicate: HeaderPredicate, _ headers: borrowing HeaderBlock) -> Bool {
        predicate.holds(headers) { value in
            guard let program = predicate.program else { return false }
            while regexes.count <= predicate.regex { regexes.append(nil) }
            if regexes[predicate.regex] == nil { regexes[predicate.regex] = Regex(program) }
            return regexes[predicate.regex]?.matchesAll(of: value) ?? false
        }
    }

    private func handOver(_ lines: ByteSink, _ file: Int, byTimer: Bool = false) {
        guard lines.count > 0 else { return }
        _ = sink.write(Array(lines.bytes), to: LogFileID(rawValue: file), byTimer: byTimer)
        lines.removeAll()
    }

    func flush(byTimer: Bool = false) {
        for (index, lines) in files.enumerated() {
            if let lines { handOver(lines, index, byTimer: byTimer) }
        }
    }

    func onTimer(_ tag: UInt32) { flush(byTimer: true) }
}
