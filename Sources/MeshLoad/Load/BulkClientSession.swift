// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// A TCP connection that moves bytes as fast as they go, counted in blocks: to the server, from it, or both at once. The
/// time of a block is how long the transport took for it.
final class BulkClientSession: ClientSession {
    /// A block on its way.
    private struct Block {
        let planned: UInt64
        let sent: UInt64
        let size: Int
        /// Of an echo: what came of it so far is what was sent.
        var isRight = true
    }

    private let mode: TCPMode
    /// In order; the first one is being moved.
    private var blocks: [Block] = []
    /// Bytes received that belong to no block yet.
    private var received = 0

    /// With an echo, one block is on its way back while the next goes out.
    static func width(_ mode: TCPMode) -> Int { mode == .duplex ? 4 : 1 }

    init(worker: LoadWorker, mode: TCPMode) {
        self.mode = mode
        super.init(worker: worker, width: BulkClientSession.width(mode))
    }

    override func opened(_ stream: ByteStream) {
        stream.reportsDrained = mode == .upload
        becameReady()
    }

    override func closed() { received = 0 }

    override func transmit(_ request: Int, planned: UInt64) {
        guard let stream else { return worker.failed(.closed, planned: planned, sent: planned) }
        let size = max(1, worker.prepared.shapes[request].bodySize)
        blocks.append(Block(planned: planned, sent: BenchClock.now(), size: size))
        if mode != .download { worker.prepared.withBody(size) { stream.write($0) } }
    }

    override func onDrained(_ stream: ByteStream) {
        guard mode == .upload, let block = blocks.first else { return }
        finish(block)
    }

    override func onInput(_ stream: ByteStream) {
        guard mode != .upload else { return ended(.malformed) }
        if mode == .duplex { compare(stream.input.readable) }
        received += stream.input.count
        stream.input.consume(stream.input.count)
        while self.stream === stream, let block = blocks.first, received >= block.size {
            received -= block.size
            finish(block)
        }
        // Between two blocks a source goes on; an echo of nothing is a fault.
        if self.stream === stream, blocks.isEmpty, mode == .duplex, received > 0 { ended(.malformed) }
    }

    /// Holds what comes back against what was sent; a source sends what it wants.
    private func compare(_ bytes: UnsafeRawBufferPointer) {
        var taken = 0
        var offset = received
        for place in blocks.indices where taken < bytes.count {
            let count = min(bytes.count - taken, blocks[place].size - offset)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[taken..<taken + count])
            if !worker.prepared.content.matches(piece, at: offset) { blocks[place].isRight = false }
            taken += count
            offset = 0
        }
    }

    private func finish(_ block: Block) {
        blocks.removeFirst()
        worker.answered(
            status: 200, isRight: block.isRight, planned: block.planned, sent: block.sent, received: mode == .upload ? 0 : block.size,
            sentBytes: mode == .download ? 0 : block.size, messages: 0)
        slotEnded()
    }

    override func failAll(_ kind: FailureKind) {
        let failed = blocks
        blocks = []
        for block in failed { worker.failed(kind, planned: block.planned, sent: block.sent) }
    }

    override func expire(sentBefore time: UInt64) {
        if let first = blocks.first, first.sent < time { ended(.timeout) }
    }
}
