// SPDX-License-Identifier: Apache-2.0

/// Finds the name somebody meant.
package enum NearestName {
    /// The candidate with the smallest edit distance to `name`, if that is at most a third of its length (and 1 for
    /// short names). Of several the first in alphabetical order.
    package static func of(_ name: String, among candidates: some Sequence<String>) -> String? {
        let wanted = Array(name.utf8.prefix(200))
        var best: (distance: Int, name: String)?
        for candidate in candidates {
            let limit = max(1, min(wanted.count, candidate.utf8.count) / 3)
            guard abs(candidate.utf8.count - wanted.count) <= limit else { continue }
            let distance = distance(wanted, Array(candidate.utf8))
            guard distance <= limit else { continue }
            if let held = best, (held.distance, held.name) <= (distance, candidate) { continue }
            best = (distance, candidate)
        }
        return best?.name
    }

    /// Optimal string alignment distance, where swapping two neighbours costs one like any other slip. Case does not
    /// count.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        func folded(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte + 32 : byte }
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        var row = last
        for i in 1...left.count {
            row[0] = i
            for j in 1...right.count {
                let cost = folded(left[i - 1]) == folded(right[j - 1]) ? 0 : 1
                row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost)
                if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
                    row[j] = min(row[j], beforeLast[j - 2] + 1)
                }
            }
            (beforeLast, last, row) = (last, row, beforeLast)
        }
        return last[right.count]
    }
}
