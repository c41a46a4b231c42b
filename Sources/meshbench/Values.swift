// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import MeshLoad

/// A time with its unit on the command line: `10s`, `250ms`, `2m`.
struct Seconds: ExpressibleByArgument, CustomStringConvertible {
    let value: Double

    init(_ value: Double) { self.value = value }

    init?(argument: String) {
        for (unit, scale) in [("ms", 0.001), ("us", 0.000_001), ("s", 1.0), ("m", 60), ("h", 3_600)] where argument.hasSuffix(unit) {
            guard let number = Double(argument.dropLast(unit.count)), number >= 0 else { return nil }
            value = number * scale
            return
        }
        guard let number = Double(argument), number >= 0 else { return nil }
        value = number
    }

    var description: String { "\(DurationText.digits(value))s" }
    var defaultValueDescription: String { description }
}

extension LoadProtocol: ExpressibleByArgument {}
extension GRPCCall: ExpressibleByArgument {}
extension TCPMode: ExpressibleByArgument {}
extension TCPAnswer: ExpressibleByArgument {}

extension BodySizes: ExpressibleByArgument {
    public init?(argument: String) {
        guard let sizes = try? BodySizes(argument) else { return nil }
        self = sizes
    }
}

/// `NAME: VALUE`.
struct HeaderArgument: ExpressibleByArgument {
    let header: HeaderText

    init?(argument: String) {
        guard let colon = argument.firstIndex(of: ":"), colon != argument.startIndex else { return nil }
        let value = argument[argument.index(after: colon)...].drop { $0 == " " }
        header = HeaderText(name: String(argument[..<colon]), value: String(value))
    }
}

extension ValidationError {
    init(_ error: ScenarioError) { self.init(error.description) }
}
