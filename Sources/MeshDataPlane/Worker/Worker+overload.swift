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

    /// `reset_high_memory_stream`, and what the process's own limit of memory does. Connections whose response waits for a slow
    /// client after its stream ended count like streams.
    func resetHeaviest(_ choice: HeavyStreams) {
        let holders = connections.all
        let chosen = choice.chosen(streams.map(\.heldBytes) + holders.map(\.heldBytes))
        let heavyStreams = chosen.filter { $0 < streams.count }.map { streams[$0] }
        let heavyConnections = chosen.filter { $0 >= streams.count }.map { holders[$0 - streams.count] }
        stats.add(resetHeaviestCount, UInt64(chosen.count))
        for stream in heavyStreams { stream.resetForOverload() }
        for connection in heavyConnections { connection.closeNow() }
    }
}
