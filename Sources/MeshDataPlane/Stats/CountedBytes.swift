// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshStats

/// How many of a connection's bytes stand in its counters: they move with every request, for a connection may live for days.
struct CountedBytes {
    private var received: UInt64 = 0
    private var sent: UInt64 = 0

    /// Counts what moved since the last call.
    mutating func count(_ stream: ByteStream, _ stats: StatPages, received receivedRow: CounterID, sent sentRow: CounterID) {
        let (nowReceived, nowSent) = (stream.receivedBytes, stream.sentBytes)
        stats.add(receivedRow, nowReceived &- received)
        stats.add(sentRow, nowSent &- sent)
        received = nowReceived
        sent = nowSent
    }
}
