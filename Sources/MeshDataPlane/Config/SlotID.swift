// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// A place in one slot table, with the generation of its occupant.
///
/// Compiled configuration refers to other configuration by slot and never by name or pointer. A slot is used again for
/// something else only with a higher generation, so a stream that still holds an old route table finds nothing where its
/// cluster was, and can never reach another cluster by number.
package struct SlotID<Occupant>: Hashable, Sendable {
    let index: UInt32
    let generation: UInt32

    init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }

    /// Refers to nothing; generation 0 is never given out.
    package static var none: SlotID { SlotID(index: 0, generation: 0) }
}

/// Gives out slots by name on the control thread. A slot lives from the first mention of its name, by the resource itself
/// or by one that refers to it, to the last.
struct SlotNames<Occupant> {
    private struct Named {
        let id: SlotID<Occupant>
        var mentions: Int
    }

    private var named: [String: Named] = [:]
    private var generations: [UInt32] = []
    private var free: [UInt32] = []

    /// Names that have a slot.
    var count: Int { named.count }

    /// The slot of `name`, or nil while nobody has mentioned it.
    func find(_ name: String) -> SlotID<Occupant>? { named[name]?.id }

    /// The slot of `name`, counting one mention more. Pair with `forget`.
    mutating func mention(_ name: String) -> SlotID<Occupant> {
        if var known = named[name] {
            known.mentions += 1
            named[name] = known
            return known.id
        }
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
        } else {
            index = UInt32(truncatingIfNeeded: generations.count)
            generations.append(0)
        }
        generations[Int(index)] &+= 1
        if generations[Int(index)] == 0 { generations[Int(index)] = 1 }
        let id = SlotID<Occupant>(index: index, generation: generations[Int(index)])
        named[name] = Named(id: id, mentions: 1)
        return id
    }

    /// Takes one mention back; with the last one the slot becomes free.
    mutating func forget(_ name: String) {
        guard var known = named[name] else { return }
        known.mentions -= 1
        if known.mentions > 0 {
            named[name] = known
        } else {
            named[name] = nil
            free.append(known.id.index)
        }
    }
}

/// One worker's view of a slot table: `Named` is what the slots were given out for, `Occupant` what the worker keeps there.
struct SlotTable<Named, Occupant> {
    private struct Place {
        var generation: UInt32 = 0
        var occupant: Occupant?
    }

    private var places: ContiguousArray<Place> = []

    /// What lives at `id` now; nil when it was removed, replaced by another generation, or never set.
    subscript(id: SlotID<Named>) -> Occupant? {
        let index = Int(id.index)
        guard index < places.count, places[index].generation == id.generation else { return nil }
        return places[index].occupant
    }

    /// Puts `occupant` at `id`, or empties it. Returns what was there, whatever its generation.
    mutating func set(_ id: SlotID<Named>, _ occupant: Occupant?) -> Occupant? {
        let index = Int(id.index)
        while places.count <= index { places.append(Place()) }
        // A removal that arrives after the place was given to a newer generation is stale.
        if occupant == nil, places[index].generation != id.generation { return nil }
        let old = places[index].occupant
        places[index] = Place(generation: id.generation, occupant: occupant)
        return old
    }

    /// Every occupant in slot order.
    var all: [Occupant] { places.compactMap(\.occupant) }
}
