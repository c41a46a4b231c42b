// SPDX-License-Identifier: Apache-2.0

/// Which streams are reset under memory pressure: as in Envoy streams fall into eight classes by the power of two of what they
/// hold, and the stronger the pressure the more classes are reset, from the heaviest on, at most fifty streams at a time.
package struct HeavyStreams: Sendable {
    /// - Unit: bytes as a power of two; lighter streams are left alone.
    package let minimumPower: UInt32
    /// From 0 to 1.
    package let strength: Double

    package static let classes = 8
    /// Streams reset in one go: what a turn of the loop can take without holding up the others.
    package static let most = 50

    package init(minimumPower: UInt32, strength: Double) {
        self.minimumPower = minimumPower
        self.strength = strength
    }

    /// The class of a stream; nil for one that is too light.
    package func weightClass(_ bytes: Int) -> Int? {
        guard bytes > 0 else { return nil }
        let power = Int.bitWidth - 1 - bytes.leadingZeroBitCount
        let over = power - Int(minimumPower)
        return over >= 0 ? min(over, HeavyStreams.classes - 1) : nil
    }

    /// Positions in `held` of the heaviest streams that together hold `bytes`, as few as that takes.
    package static func freeing(_ bytes: Int, of held: [Int]) -> [Int] {
        var chosen: [Int] = []
        var freed = 0
        for index in held.indices.sorted(by: { held[$0] > held[$1] }) {
            guard freed < bytes, held[index] > 0, chosen.count < most else { break }
            chosen.append(index)
            freed += held[index]
        }
        return chosen
    }

    /// Positions in `held` of the streams to reset, heaviest first.
    package func chosen(_ held: [Int]) -> [Int] {
        guard strength > 0 else { return [] }
        let cleared = min(Int(strength * Double(HeavyStreams.classes)) + 1, HeavyStreams.classes)
        let lightest = HeavyStreams.classes - cleared
        let heavy = held.indices.filter { weightClass(held[$0]).map { $0 >= lightest } ?? false }
        return Array(heavy.sorted { held[$0] > held[$1] }.prefix(HeavyStreams.most))
    }
}
