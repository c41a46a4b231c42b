// SPDX-License-Identifier: Apache-2.0

/// One layer of the runtime: values by key, as text. Source: `envoy.config.bootstrap.v3.RuntimeLayer`.
package struct RuntimeLayer: Equatable, Sendable {
    package var name: String
    /// Whether admin may change it (`admin_layer`).
    package var isAdmin: Bool
    /// Nested keys are joined by dots.
    package var values: [String: String]

    package init(name: String, isAdmin: Bool = false, values: [String: String] = [:]) {
        self.name = name
        self.isAdmin = isAdmin
        self.values = values
    }
}

/// What a value's text means; text that is neither number, share nor truth leaves the reader's default in force, as in Envoy.
enum RuntimeMeaning: Equatable {
    case none
    /// A percentage where a share is asked for.
    case number(UInt64)
    case share(FractionalPercent)
    case truth(Bool)

    init(_ text: String) {
        switch text {
        case "true": self = .truth(true)
        case "false": self = .truth(false)
        default:
            if let number = Double(text), number >= 0, number < 1e18 {
                self = .number(UInt64(number))
            } else if let share = RuntimeMeaning.share(text) {
                self = .share(share)
            } else {
                self = .none
            }
        }
    }

    /// `numerator: 3, denominator: MILLION`, over one line or two, with or without braces and quotes.
    private static func share(_ text: String) -> FractionalPercent? {
        var share = FractionalPercent(numerator: 0)
        var isShare = false
        for part in text.split(whereSeparator: { "{},\n".contains($0) }) {
            let sides = part.split(separator: ":", maxSplits: 1)
            guard !part.allSatisfy(\.isWhitespace) else { continue }
            guard sides.count == 2 else { return nil }
            let trimmed = sides.map { String($0.filter { !$0.isWhitespace && $0 != "\"" && $0 != "'" }) }
            switch (trimmed[0], trimmed[1]) {
            case ("numerator", let digits):
                guard let number = UInt32(digits) else { return nil }
                share.numerator = number
            case ("denominator", "HUNDRED"): share.denominator = 100
            case ("denominator", "TEN_THOUSAND"): share.denominator = 10_000
            case ("denominator", "MILLION"): share.denominator = 1_000_000
            default: return nil
            }
            isShare = true
        }
        return isShare ? share : nil
    }
}
