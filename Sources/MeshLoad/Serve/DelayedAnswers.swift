// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshUV

/// Answers that wait for their time, earliest first.
final class DelayedAnswers: PreciseTarget {
    private struct Waiting {
        let due: UInt64
        let answer: () -> Void
    }

    private let loop: UVLoop
    /// Latest first, so that the next one is at the end.
    private var waiting: [Waiting] = []

    init(loop: UVLoop) { self.loop = loop }

    /// Calls `answer` at `due`. - Parameter due: nanoseconds of the monotonic clock.
    func add(at due: UInt64, _ answer: @escaping () -> Void) {
        var place = waiting.count
        while place > 0, waiting[place - 1].due <= due { place -= 1 }
        waiting.insert(Waiting(due: due, answer: answer), at: place)
        arm()
    }

    func onPreciseDeadline() {
        let now = BenchClock.now()
        while let next = waiting.last, next.due <= now {
            waiting.removeLast()
            next.answer()
        }
        arm()
    }

    private func arm() {
        if let next = waiting.last { loop.wakePrecisely(self, at: MonotonicInstant(nanoseconds: next.due)) }
    }
}
