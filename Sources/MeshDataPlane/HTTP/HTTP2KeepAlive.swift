// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel

/// PINGs that find out whether the peer is still there (`connection_keepalive`).
final class HTTP2KeepAlive: TimerTarget {
    private let options: HTTP2Keepalive
    private let loop: EventLoop
    private let onTimeout: () -> Void
    private let ping: () -> Void
    private var timer = TimerID.none
    private var isWaiting = false
    private var random: RandomSource

    init(
        _ options: HTTP2Keepalive, loop: EventLoop, random: UInt64, onTimeout: @escaping () -> Void,
        ping: @escaping () -> Void
    ) {
        self.options = options
        self.loop = loop
        self.random = RandomSource(seed: random)
        self.onTimeout = onTimeout
        self.ping = ping
        timer = loop.timers.make(target: self)
        armInterval()
    }

    func stop() { loop.timers.free(&timer) }

    /// The interval and up to its jitter more.
    private func armInterval() {
        guard let interval = options.interval else { return }
        let nanoseconds = interval.nanoseconds
        let jitter = UInt64(Double(nanoseconds) * options.jitterPercent / 100)
        let more = jitter > 0 ? random.next() % jitter : 0
        loop.timers.arm(timer, at: loop.now.advanced(byNanoseconds: nanoseconds &+ more))
    }

    /// Bytes arrived: the peer is there, whatever they say.
    func heard(at now: MonotonicInstant) {
        guard isWaiting else { return }
        answered(at: now)
    }

    func answered(at now: MonotonicInstant) {
        isWaiting = false
        armInterval()
    }

    func onTimer(_ tag: UInt32) {
        if isWaiting {
            onTimeout()
            return
        }
        isWaiting = true
        ping()
        loop.timers.arm(timer, at: loop.now.advanced(byNanoseconds: options.timeout.nanoseconds))
    }
}
