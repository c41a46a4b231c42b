// SPDX-License-Identifier: Apache-2.0
import CProcess
import MeshIO

/// After a burst, pages of code go that it needed and what comes next does not; those that are still used come back from the page
/// cache. A little later than the heap's, for giving memory back runs code of its own, on every thread at about the same time.
final class CodePages: TimerTarget {
    private let loop: EventLoop
    private var timer = TimerID.none

    /// - Unit: milliseconds.
    private static let delay: UInt64 = 1_000

    init(loop: EventLoop) { self.loop = loop }

    func forgetSoon() {
        if timer.isNone { timer = loop.timers.make(target: self) }
        loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: CodePages.delay))
    }

    func onTimer(_ tag: UInt32) {
        // Armed seldom, and made anew then: the tables of the loop shrink meanwhile.
        loop.timers.free(&timer)
        apus_forget_code_pages()
    }
}
