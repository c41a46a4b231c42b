// SPDX-License-Identifier: Apache-2.0

/// Pressures in, strengths of actions out. Knows neither clock nor system.
package struct OverloadState: Sendable {
    package let options: OverloadOptions
    /// The last pressure of each monitor; 0 before the first.
    package private(set) var pressures: [Double]

    package init(_ options: OverloadOptions) {
        self.options = options
        pressures = Array(repeating: 0, count: options.monitors.count)
    }

    /// A monitor was read. A value that is no number, or below 0, is none.
    package mutating func pressureRead(_ pressure: Double, of monitor: Int) {
        pressures[monitor] = pressure > 0 ? pressure : 0
    }

    /// How strong a rule's effect is now, from 0 to 1.
    package func strength(ofRule index: Int) -> Double {
        options.rules[index].triggers.map { $0.strength(at: pressures[$0.monitor]) }.max() ?? 0
    }

    /// How strong an effect is now: the strongest of the rules that have it.
    private func strength(where matches: (OverloadRule.Effect) -> Bool) -> Double {
        options.rules.indices.filter { matches(options.rules[$0].effect) }.map { strength(ofRule: $0) }.max() ?? 0
    }

    /// How strongly the streams that hold most are to be reset.
    package var resetStrength: Double { strength { $0 == .resetHeaviest } }

    /// Whether memory is to be given back.
    package var shrinksHeap: Bool { strength { $0 == .shrinkHeap } >= 1 }

    /// What workers have to know.
    package var levels: OverloadLevels {
        var levels = OverloadLevels()
        levels.stopRequests = OverloadLevels.chance(strength { $0 == .stopRequests })
        levels.disableKeepAlive = OverloadLevels.chance(strength { $0 == .disableKeepAlive })
        levels.rejectConnections = OverloadLevels.chance(strength { $0 == .rejectConnections })
        levels.stopsConnections = strength { $0 == .stopConnections } >= 1
        for (index, rule) in options.rules.enumerated() {
            guard case .reduceTimeouts(let timers) = rule.effect else { continue }
            let strength = strength(ofRule: index)
            guard strength > 0 else { continue }
            for timer in timers { levels.timers.scale(timer, strength: strength) }
        }
        return levels
    }
}

/// What an overloaded process does, in the form workers look at: chances out of 65536.
package struct OverloadLevels: Equatable, Sendable {
    package var stopRequests: UInt32 = 0
    package var disableKeepAlive: UInt32 = 0
    package var rejectConnections: UInt32 = 0
    package var stopsConnections = false
    package var timers = TimerScales()

    package init() {}

    package static func chance(_ strength: Double) -> UInt32 { UInt32(min(max(strength, 0), 1) * 65_536) }

    /// Whether something of this chance happens.
    @inline(__always) package static func happens(_ chance: UInt32, random: UInt64) -> Bool {
        UInt32(truncatingIfNeeded: random & 0xFFFF) < chance
    }
}

/// How much shorter timeouts are.
package struct TimerScales: Equatable, Sendable {
    /// - Invariant: `minimumNanoseconds` or `minimumPart` is what is left at full strength.
    package struct Scale: Equatable, Sendable {
        var strength = 0.0
        var minimumNanoseconds: UInt64 = 0
        var minimumPart = 0.0

        /// The timeout that holds now. - Unit: nanoseconds; 0 stays 0, which means none.
        package func scaled(_ timeout: UInt64) -> UInt64 {
            guard strength > 0, timeout > 0 else { return timeout }
            let least = max(Double(minimumNanoseconds), Double(timeout) * minimumPart)
            guard least < Double(timeout) else { return timeout }
            return max(1, UInt64(least + (Double(timeout) - least) * (1 - strength)))
        }
    }

    package var connectionIdle = Scale()
    package var streamIdle = Scale()
    package var transportConnect = Scale()

    package init() {}

    mutating func scale(_ timer: ScaledTimer, strength: Double) {
        var scale = Scale(strength: strength)
        switch timer.minimum {
        case .duration(let duration):
            let (seconds, attoseconds) = duration.components
            scale.minimumNanoseconds = UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
        case .part(let part): scale.minimumPart = min(max(part, 0), 1)
        }
        switch timer.timer {
        case .connectionIdle: connectionIdle = scale
        case .streamIdle: streamIdle = scale
        case .transportConnect: transportConnect = scale
        }
    }
}
