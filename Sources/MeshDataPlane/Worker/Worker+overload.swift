// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

// What a worker does when the process is overloaded.
extension Worker {
    func setOverload(_ levels: OverloadLevels) {
        let old = pressure.levels
        pressure.set(levels)
        if old.stopsConnections != levels.stopsConnections {
            for listener in listeners.all where !listener.compiled.listener.bypassesOverloadManager {
                listener.setPaused(levels.stopsConnections)
            }
        }
        // Timers that run were armed for the time that held then.
        if old.timers != levels.timers {
            connections.forEach { $0.timeoutsChanged() }
            for stream in streams { stream.timeoutsChanged() }
        }
    }

    /// `reset_high_memory_stream`, and what the process's own limit of memory does.
    func resetHeaviest(_ choice: HeavyStreams) { _ = reset { choice.chosen($0) } }

    /// Buffers hold more than this worker's part of the memory limit, and the next turn may bring megabytes: the clients that
    /// hold most are given up at once.
    func returnToBudget() {
        guard loop.now >= nextReturn else { return }
        // A little more, or it would be done again in every turn.
        let excess = loop.pool.outstandingBytes - loop.memoryBudget + loop.memoryBudget / 16
        let count = reset { HeavyStreams.freeing(excess, of: $0) }
        // Where nobody can be given up, looking at all of them in every turn helps nobody either.
        if count == 0 { nextReturn = loop.now.advanced(byMilliseconds: 100) }
    }

    /// Resets what `choose` picks of the bytes that are held by streams, and by connections whose response waits for a slow
    /// client after its stream ended.
    private func reset(_ choose: ([Int]) -> [Int]) -> Int {
        let holders = connections.all
        let chosen = choose(streams.map(\.heldBytes) + holders.map(\.heldBytes))
        let heavyStreams = chosen.filter { $0 < streams.count }.map { streams[$0] }
        let heavyConnections = chosen.filter { $0 >= streams.count }.map { holders[$0 - streams.count] }
        stats.add(resetHeaviestCount, UInt64(chosen.count))
        for stream in heavyStreams { stream.resetForOverload() }
        for connection in heavyConnections { connection.closeNow() }
        return chosen.count
    }
}
