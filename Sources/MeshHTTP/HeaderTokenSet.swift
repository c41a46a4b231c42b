// SPDX-License-Identifier: Apache-2.0

/// Several well-known names, so that one test tells that a head has none of them.
@frozen @usableFromInline package struct HeaderTokenSet: Sendable {
    @usableFromInline let bits: UInt64

    @inlinable init(bits: UInt64) { self.bits = bits }

    /// The names of these tokens. Written out, not variadic, so that a set is a constant to the compiler.
    @inlinable package init(
        _ first: HeaderToken, _ second: HeaderToken = .none, _ third: HeaderToken = .none, _ fourth: HeaderToken = .none,
        _ fifth: HeaderToken = .none, _ sixth: HeaderToken = .none, _ seventh: HeaderToken = .none,
        _ eighth: HeaderToken = .none, _ ninth: HeaderToken = .none, _ tenth: HeaderToken = .none,
        _ eleventh: HeaderToken = .none
    ) {
        let lower = Self.bit(first) | Self.bit(second) | Self.bit(third) | Self.bit(fourth)
        let upper = Self.bit(fifth) | Self.bit(sixth) | Self.bit(seventh) | Self.bit(eighth)
        let rest = Self.bit(ninth) | Self.bit(tenth) | Self.bit(eleventh)
        // `none` stands for every unknown name and is not looked for.
        bits = (lower | upper | rest) & ~1
    }

    /// Whether a name is one of these; `none` never is.
    @inlinable package func contains(_ token: HeaderToken) -> Bool { bits & Self.bit(token) != 0 }

    @inlinable static func bit(_ token: HeaderToken) -> UInt64 { 1 &<< UInt64(token.rawValue) }
}

extension HeaderBlock {
    /// Whether a live field carries one of these names. O(1).
    @inlinable package func containsAny(of set: HeaderTokenSet) -> Bool { presence & set.bits != 0 }
}
