// SPDX-License-Identifier: Apache-2.0
import CRE2

/// One thread's compiled patterns, by index into a shared list of programs. Each is compiled when it is first asked
/// for, so that thousands of patterns cost nothing where no request meets them.
package final class RegexPool {
    private let programs: [RegexProgram]
    private let sets: [[Int32]]
    private let compiled: UnsafeMutablePointer<Unmanaged<Regex>?>
    private let compiledSets: UnsafeMutablePointer<OpaquePointer?>
    private let matches: UnsafeMutableBufferPointer<Int32>

    /// - Parameters:
    ///   - programs: what `matchesAll(_:of:)` speaks of by index.
    ///   - sets: lists of such indices that are matched together.
    package init(programs: [RegexProgram], sets: [[Int32]] = []) {
        self.programs = programs
        self.sets = sets
        compiled = .allocate(capacity: max(programs.count, 1))
        compiled.initialize(repeating: nil, count: programs.count)
        compiledSets = .allocate(capacity: max(sets.count, 1))
        compiledSets.initialize(repeating: nil, count: sets.count)
        matches = .allocate(capacity: max(sets.map(\.count).max() ?? 0, 1))
    }

    deinit {
        for index in programs.indices { compiled[index]?.release() }
        for index in sets.indices { if let set = compiledSets[index] { apus_regex_set_delete(set) } }
        compiled.deallocate()
        compiledSets.deallocate()
        matches.deallocate()
    }

    private func regex(_ index: Int) -> Unmanaged<Regex>? {
        if let known = compiled[index] { return known }
        guard let made = Regex(programs[index]) else { return nil }
        let held = Unmanaged.passRetained(made)
        compiled[index] = held
        return held
    }

    /// Whether all of the text matches pattern `index`.
    package func matchesAll(_ index: Int, of text: UnsafeRawBufferPointer) -> Bool {
        regex(index)?._withUnsafeGuaranteedRef { $0.matchesAll(of: text) } ?? false
    }

    /// Gives `emit` the text with every match of pattern `index` replaced.
    package func replacingAll(
        _ index: Int, in text: UnsafeRawBufferPointer, with substitution: UnsafeRawBufferPointer,
        emit: (UnsafeRawBufferPointer) -> Void
    ) {
        regex(index)?._withUnsafeGuaranteedRef { $0.replacingAll(in: text, with: substitution, emit: emit) }
    }

    /// The positions in set `index` of the patterns that match all of the text, in no order. Nil when RE2 gave up: then
    /// each must be asked. Valid until the next call.
    package func matches(ofSet index: Int, in text: UnsafeRawBufferPointer) -> UnsafeBufferPointer<Int32>? {
        guard let set = compiledSets[index] ?? makeSet(index) else { return nil }
        let count = apus_regex_set_match(
            set, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count, matches.baseAddress,
            Int32(matches.count))
        guard count >= 0 else { return nil }
        return UnsafeBufferPointer(rebasing: matches[..<min(Int(count), matches.count)])
    }

    private func makeSet(_ index: Int) -> OpaquePointer? {
        guard let set = apus_regex_set_new(false) else { return nil }
        for member in sets[index] {
            var pattern = programs[Int(member)].pattern
            let place = pattern.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { apus_regex_set_add(set, $0.baseAddress, $0.count) }
            }
            guard place >= 0 else {
                apus_regex_set_delete(set)
                return nil
            }
        }
        guard apus_regex_set_compile(set) else {
            apus_regex_set_delete(set)
            return nil
        }
        compiledSets[index] = set
        return set
    }
}

@available(*, unavailable)
extension RegexPool: Sendable {}
