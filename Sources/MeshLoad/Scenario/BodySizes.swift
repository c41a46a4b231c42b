// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How long bodies are: always the same, one of several by weight, or drawn from a distribution.
///
/// As text: `1000`, `100*9,100000*1` (sizes with weights), `uniform:100-10000`, `exp:5000` (mean),
/// `lognormal:2000:1.5` (median and sigma).
public enum BodySizes: Equatable, Sendable, CustomStringConvertible {
    case fixed(Int)
    case weighted([Int], weights: [Int])
    case uniform(ClosedRange<Int>)
    case exponential(mean: Double)
    case logNormal(median: Double, sigma: Double)

    /// Most bytes a body may have.
    public static let largest = 1 << 30
    static let allowed =
        "allowed: bytes up to \(largest), sizes with weights (100*9,100000*1), uniform:FROM-TO, exp:MEAN, lognormal:MEDIAN:SIGMA"

    /// - Throws: `ScenarioError` that names what was found and what is allowed.
    public init(_ text: String) throws(ScenarioError) {
        func fail() -> ScenarioError { ScenarioError("body size: found '\(text)'; \(BodySizes.allowed)") }
        func size(_ text: Substring) -> Int? { Int(text).flatMap { (0...BodySizes.largest).contains($0) ? $0 : nil } }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts[0] {
        case "uniform":
            let bounds = parts.count == 2 ? parts[1].split(separator: "-").map(size) : []
            guard bounds.count == 2, let low = bounds[0], let high = bounds[1], low <= high else { throw fail() }
            self = .uniform(low...high)
        case "exp":
            guard parts.count == 2, let mean = Double(parts[1]), mean > 0, mean <= Double(BodySizes.largest) else { throw fail() }
            self = .exponential(mean: mean)
        case "lognormal":
            guard parts.count == 3, let median = Double(parts[1]), let sigma = Double(parts[2]), median > 0,
                median <= Double(BodySizes.largest), (0...10).contains(sigma)
            else { throw fail() }
            self = .logNormal(median: median, sigma: sigma)
        default:
            var sizes: [Int] = []
            var weights: [Int] = []
            for entry in text.split(separator: ",", omittingEmptySubsequences: false) {
                let pair = entry.split(separator: "*", omittingEmptySubsequences: false)
                let weight = pair.count == 2 ? Int(pair[1]) : 1
                guard pair.count <= 2, let bytes = size(pair[0]), let weight, (1...10_000).contains(weight) else { throw fail() }
                sizes.append(bytes)
                weights.append(weight)
            }
            self = sizes.count == 1 ? .fixed(sizes[0]) : .weighted(sizes, weights: weights)
        }
    }

    public var description: String {
        switch self {
        case .fixed(let size): "\(size) B"
        case .weighted(let sizes, let weights): zip(sizes, weights).map { "\($0) B × \($1)" }.joined(separator: ", ")
        case .uniform(let range): "\(range.lowerBound) to \(range.upperBound) B, evenly"
        case .exponential(let mean): "exponential, mean \(DurationText.digits(mean)) B"
        case .logNormal(let median, let sigma): "log-normal, median \(DurationText.digits(median)) B, sigma \(DurationText.fixed(sigma, 2))"
        }
    }

    public var isFixed: Bool {
        if case .fixed = self { true } else { false }
    }

    /// The size below which a share of the bodies lies. - Parameter share: 0..<1.
    func quantile(_ share: Double) -> Int {
        func clamp(_ value: Double) -> Int { Int(min(max(value.rounded(), 0), Double(BodySizes.largest))) }
        switch self {
        case .fixed(let size): return size
        case .weighted(let sizes, let weights):
            var rest = share * Double(weights.reduce(0, +))
            for (size, weight) in zip(sizes, weights) {
                if rest < Double(weight) { return size }
                rest -= Double(weight)
            }
            return sizes[sizes.count - 1]
        case .uniform(let range):
            return range.lowerBound + clamp((share * Double(range.count)).rounded(.down))
        case .exponential(let mean): return clamp(-mean * log(1 - share))
        case .logNormal(let median, let sigma): return clamp(median * exp(sigma * BodySizes.normalQuantile(share)))
        }
    }

    /// `count` sizes that together have the distribution, in an order that the seed decides: no run of small or large ones.
    func sample(_ count: Int, seed: UInt64) -> [Int] {
        var sizes = (0..<count).map { quantile((Double($0) + 0.5) / Double(count)) }
        var random = SplitMix(state: seed)
        for index in stride(from: count - 1, to: 0, by: -1) { sizes.swapAt(index, Int(random.next() % UInt64(index + 1))) }
        return sizes
    }

    /// The inverse of the normal distribution: bisection on the error function, exact enough for bytes.
    static func normalQuantile(_ share: Double) -> Double {
        var (low, high) = (-9.0, 9.0)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if 0.5 * erfc(-middle / 2.0.squareRoot()) < share { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}
