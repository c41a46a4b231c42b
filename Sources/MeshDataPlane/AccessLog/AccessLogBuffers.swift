// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
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

    init(loop: EventLoop, sink: any AccessLogSink, flushBytes: Int = 64 << 10, flushInterval: UInt64 = 1_000_000_000) {
        self.loop = loop
        self.sink = sink
        self.flushBytes = flushBytes
        self.flushInterval = flushInterval
        timer = loop.timers.make(target: self)
    }

    /// Renders one line.
    func write(_ log: CompiledAccessLog, _ context: some FormatContext) {
        while files.count <= log.file.rawValue { files.append(nil) }
        let lines: ByteSink
        if let known = files[log.file.rawValue] {
            lines = known
        } else {
            lines = ByteSink(capacity: 4096)
            files[log.file.rawValue] = lines
        }
        log.format.write(to: lines, context: context, missing: "-")
        if lines.count >= flushBytes {
            handOver(lines, log.file.rawValue)
        } else if !loop.timers.isArmed(timer) {
            loop.timers.arm(timer, at: loop.now.advanced(byNanoseconds: flushInterval))
        }
    }

    private func handOver(_ lines: ByteSink, _ file: Int) {
        guard lines.count > 0 else { return }
        _ = sink.write(Array(lines.bytes), to: LogFileID(rawValue: file))
        lines.removeAll()
    }

    func flush() {
        for (index, lines) in files.enumerated() {
            if let lines { handOver(lines, index) }
        }
    }

    func onTimer(_ tag: UInt32) { flush() }
}
