// SPDX-License-Identifier: Apache-2.0

/// Which variant runs next: every one once per round, in the same order (A B A B), so that a machine that is slow for a
/// while is slow for everybody. Runs that other programs spoiled are made up for by whole rounds, at most as many again.
///
/// A value without clock or processes: `next` says what to run, `ended` takes what became of it.
struct RoundSchedule: Equatable, Sendable {
    /// What became of a run.
    enum Outcome: Equatable, Sendable {
        case clean
        /// Others used the machine: it does not count.
        case dropped
        /// The proxy is gone; it takes no further part.
        case failed
    }

    struct Turn: Equatable, Sendable {
        let round: Int
        let variant: Int
    }

    let wanted: Int
    private(set) var clean: [Int]
    private var gone: [Bool]
    private var position = Turn(round: 0, variant: 0)

    init(variants: Int, rounds: Int) {
        wanted = rounds
        clean = Array(repeating: 0, count: variants)
        gone = Array(repeating: false, count: variants)
    }

    /// Nil when every variant has its clean runs, or twice the rounds were run.
    var next: Turn? {
        var turn = position
        while true {
            if turn.variant == gone.count { turn = Turn(round: turn.round + 1, variant: 0) }
            if turn.variant == 0, !wantsRound(turn.round) { return nil }
            if turn.variant < gone.count, !gone[turn.variant] { return turn }
            turn = Turn(round: turn.round, variant: turn.variant + 1)
        }
    }

    /// Takes the outcome of the run at `next`.
    mutating func ended(_ outcome: Outcome) {
        guard let turn = next else { return }
        switch outcome {
        case .clean: clean[turn.variant] += 1
        case .dropped: break
        case .failed: gone[turn.variant] = true
        }
        position = Turn(round: turn.round, variant: turn.variant + 1)
    }

    /// Runs still to come, if none is dropped.
    var left: Int {
        guard let turn = next else { return 0 }
        let alive = gone.filter { !$0 }.count
        let inRound = gone.indices.filter { $0 >= turn.variant && !gone[$0] }.count
        return inRound + alive * max(0, wanted - turn.round - 1)
    }

    private func wantsRound(_ round: Int) -> Bool {
        guard gone.contains(false) else { return false }
        if round < wanted { return true }
        return round < 2 * wanted && gone.indices.contains { !gone[$0] && clean[$0] < wanted }
    }
}
