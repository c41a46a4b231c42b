// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import MeshIO

/// A kernel pipe on its way between two sockets.
struct SplicePipe {
    let readEnd: Int32
    let writeEnd: Int32
    let capacity: Int

    func close() {
        apus_close(readEnd)
        apus_close(writeEnd)
    }
}

/// A loop's idle pipes, last in first out. A direction holds one only while bytes are in it, so a few serve them all.
struct SplicePipes {
    private var idle: [SplicePipe] = []

    /// What is asked of the kernel for one pipe: four times its default, so that a wake-up moves more. An unprivileged
    /// user has 64 MiB of them.
    private static let capacity: Int32 = 262_144
    /// Idle pipes kept; each costs two descriptors.
    private static let kept = 8

    /// An empty pipe; nil when there are no descriptors for one.
    mutating func take() -> SplicePipe? {
        if let pipe = idle.popLast() { return pipe }
        var ends: (Int32, Int32) = (-1, -1)
        let capacity = withUnsafeMutablePointer(to: &ends) { pair in
            pair.withMemoryRebound(to: Int32.self, capacity: 2) { apus_pipe($0, SplicePipes.capacity) }
        }
        guard capacity > 0 else { return nil }
        return SplicePipe(readEnd: ends.0, writeEnd: ends.1, capacity: Int(capacity))
    }

    /// Takes an emptied pipe back.
    mutating func giveBack(_ pipe: SplicePipe) {
        if idle.count < SplicePipes.kept { idle.append(pipe) } else { pipe.close() }
    }

    mutating func closeAll() {
        for pipe in idle { pipe.close() }
        idle = []
    }
}

/// One direction between two sockets that goes through a pipe in the kernel while that pays.
///
/// Small exchanges are cheaper copied; so a direction begins to splice after two reads in a row that filled a slab,
/// and copies again after two short splices.
///
/// Invariants:
/// - `pipe` is attached exactly while `held` bytes are in it, and those go before anything in the sink's output;
/// - while bytes are held back by a full sink, the source is paused once by this relay.
final class SpliceRelay {
    private let loop: UVLoop
    private var source: UVStream?
    private var sink: UVStream?
    private var pipe: SplicePipe?
    /// Bytes taken from the source and not yet given to the sink.
    private(set) var held = 0
    private(set) var isSplicing = false
    private var isUnsupported = false
    private var isHoldingBack = false
    private var longReads = 0
    private var shortSplices = 0

    private static let switchAfter = 2

    init(loop: UVLoop, source: UVStream, sink: UVStream) {
        self.loop = loop
        self.source = source
        self.sink = sink
    }

    /// A copied read ended; `isLong` when it filled at least a standard slab.
    func didCopy(isLong: Bool) {
        longReads = isLong ? longReads + 1 : 0
        if longReads >= SpliceRelay.switchAfter, !isUnsupported {
            isSplicing = true
            shortSplices = 0
        }
    }

    /// One readable event of the source. False when the bytes have to be copied this time.
    func receive() -> Bool {
        guard held == 0, let source, let sink, source.input.isEmpty, sink.takesSplice else { return false }
        guard let pipe = loop.pipes.take() else {
            copyFromNowOn()
            return false
        }
        let count = apus_splice(source.descriptor, pipe.writeEnd, pipe.capacity)
        guard count > 0 else {
            loop.pipes.giveBack(pipe)
            if count == -Int(EINVAL) {
                isUnsupported = true
                copyFromNowOn()
                return false
            }
            source.didReceive(count)
            return true
        }
        self.pipe = pipe
        held = count
        source.receivedBytes &+= UInt64(count)
        shortSplices = count < SlabPool.standardCapacity ? shortSplices + 1 : 0
        if shortSplices >= SpliceRelay.switchAfter { copyFromNowOn() }
        drain()
        return true
    }

    /// Gives held bytes to the sink, as many as it takes.
    func drain() {
        guard let pipe, let sink else { return }
        while held > 0 {
            let count = apus_splice(pipe.readEnd, sink.descriptor, held)
            guard count > 0 else {
                if count == -Int(EAGAIN) {
                    sink.becameFull()
                    holdBack()
                } else {
                    discard()
                    sink.failLater(.reset(count == 0 ? EPIPE : Int32(truncatingIfNeeded: -count)))
                }
                return
            }
            held -= count
            sink.sentBytes &+= UInt64(count)
            sink.hasShrunk = true
        }
        self.pipe = nil
        loop.pipes.giveBack(pipe)
        if isHoldingBack {
            isHoldingBack = false
            source?.resumeReading()
        }
        if source == nil { self.sink = nil }
    }

    /// The source is gone; what is held still reaches the sink.
    func sourceClosed() {
        source = nil
        if held == 0 { sink = nil }
    }

    /// The sink is gone, and what is held with it.
    func sinkClosed() {
        sink = nil
        discard()
        if isHoldingBack {
            isHoldingBack = false
            source?.resumeReading()
        }
        source = nil
    }

    private func holdBack() {
        guard !isHoldingBack, let source else { return }
        isHoldingBack = true
        source.pauseReading()
    }

    private func copyFromNowOn() {
        isSplicing = false
        longReads = 0
    }

    /// A pipe with bytes in it cannot be used by anybody else.
    private func discard() {
        held = 0
        pipe?.close()
        pipe = nil
    }
}
