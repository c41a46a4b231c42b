// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The runtime: values that change while the process runs, in layers of which the last that has a key wins.
///
/// Who reads a key on the request path asks for its `RuntimeValue` once, when configuration is compiled; a change reaches it
/// without a message to any worker.
package final class Runtime: Sendable {
    private struct State {
        var layers: [RuntimeLayer]
        var values: [String: RuntimeValue] = [:]
    }

    private let state: Mutex<State>

    package init(_ layers: [RuntimeLayer] = []) { state = Mutex(State(layers: layers)) }

    /// The layers as they are now, the strongest last.
    package var layers: [RuntimeLayer] { state.withLock { $0.layers } }

    /// The value of a key, the same object for everyone who asks.
    package func value(of key: String) -> RuntimeValue {
        state.withLock { state in
            if let known = state.values[key] { return known }
            let value = RuntimeValue()
            value.set(Runtime.text(of: key, in: state.layers))
            state.values[key] = value
            return value
        }
    }

    /// Sets keys in the admin layer; an empty value takes one out again, so that the layers below show.
    ///
    /// - Returns: false when there is no admin layer; then nothing changed.
    package func modify(_ changes: [(key: String, value: String)]) -> Bool {
        state.withLock { state in
            guard let admin = state.layers.lastIndex(where: \.isAdmin) else { return false }
            for (key, value) in changes {
                state.layers[admin].values[key] = value.isEmpty ? nil : value
                state.values[key]?.set(Runtime.text(of: key, in: state.layers))
            }
            return true
        }
    }

    private static func text(of key: String, in layers: [RuntimeLayer]) -> String? {
        for layer in layers.reversed() {
            if let text = layer.values[key] { return text }
        }
        return nil
    }
}

/// What one key of the runtime says now. Read by any thread with one relaxed load.
package final class RuntimeValue: Sendable {
    /// The kind in the two highest bits (0 nothing, 1 number, 2 share, 3 truth). A share has its denominator in the 30 bits
    /// below them and its numerator in the low 32.
    private let word = Atomic<UInt64>(0)

    package init() {}

    func set(_ text: String?) {
        let bits: UInt64
        switch text.map(RuntimeMeaning.init) ?? .none {
        case .none: bits = 0
        case .number(let number): bits = 1 << 62 | number
        case .share(let share): bits = 2 << 62 | UInt64(share.denominator) << 32 | UInt64(share.numerator)
        case .truth(let truth): bits = 3 << 62 | (truth ? 1 : 0)
        }
        word.store(bits, ordering: .relaxed)
    }

    /// Whether the event of this random value is in the share the key names, or else in `fallback`. A number is a percentage.
    package func contains(random: UInt64, fallback: FractionalPercent) -> Bool {
        let bits = word.load(ordering: .relaxed)
        switch bits >> 62 {
        case 1: return random % 100 < bits & (1 << 62 - 1)
        case 2: return random % max(bits >> 32 & 0x3FFF_FFFF, 1) < bits & 0xFFFF_FFFF
        default: return fallback.contains(random: random)
        }
    }

    /// The number the key names, or else `fallback`.
    package func number(fallback: UInt64) -> UInt64 {
        let bits = word.load(ordering: .relaxed)
        return bits >> 62 == 1 ? bits & (1 << 62 - 1) : fallback
    }

    /// The truth the key names, or else `fallback`.
    package func truth(fallback: Bool) -> Bool {
        let bits = word.load(ordering: .relaxed)
        return bits >> 62 == 3 ? bits & 1 == 1 : fallback
    }
}
