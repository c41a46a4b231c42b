// SPDX-License-Identifier: Apache-2.0

/// How histograms are printed: `histogram_buckets=`.
package enum HistogramForm: Sendable {
    /// Quantiles; the default but for Prometheus.
    case summary
    /// Counts up to each bound; the default of Prometheus.
    case cumulative
    /// Counts between the bounds.
    case disjoint
    /// Every bin that holds something, and the quantiles.
    case detailed
}

/// Which stats a reader wants: the parameters of `/stats`.
package struct StatQuery {
    /// Leave out what was never written (`usedonly`).
    package var usedOnly = false
    /// Keeps names for which it returns true; nil keeps all. The caller compiles `filter=` with a regex engine of its choice.
    package var matches: ((String) -> Bool)?
    /// Whether a stat exists at all for readers (`stats_config.stats_matcher`); nil means every one does.
    package var isIncluded: ((String) -> Bool)?
    /// The labels of a name (`stats_config.stats_tags`, `--stats-tag`); nil finds the default ones.
    package var labels: ((String) -> StatLabels)?
    /// Which kinds to print (`type=`).
    package var kinds: Set<StatKind> = [.counter, .gauge, .histogram]
    /// How to print histograms; nil for the format's default.
    package var histogramForm: HistogramForm?
    /// Bounds of the buckets of one histogram (`histogram_bucket_settings`); nil for Envoy's own.
    package var bucketBounds: ((String) -> [Double])?
    /// Where the last interval of histograms is known.
    package var intervals: HistogramIntervals?

    package init() {}

    /// Whether a stat of that name is printed.
    func wants(_ name: String) -> Bool {
        if let isIncluded, !isIncluded(name) { return false }
        if let matches, !matches(name) { return false }
        return true
    }

    func bounds(_ name: String) -> [Double] { bucketBounds?(name) ?? HistogramBins.prometheusBounds }
}

/// A stat's name without label values, and its labels in the order they are printed.
package struct StatLabels: Equatable, Sendable {
    package var name: String
    package var tags: [StatTag]

    package init(name: String, tags: [StatTag]) {
        self.name = name
        self.tags = tags
    }

    /// The default tags of a name: those for which `isWanted` holds.
    package init(defaultsOf fullName: String, isWanted: (String) -> Bool = { _ in true }) {
        var fullName = fullName
        self = fullName.withUTF8 { bytes in
            let found = DefaultTags.find(in: bytes).filter { isWanted($0.name) }
            return StatLabels(
                name: StatLabels.cut(found.map(\.cut), from: bytes),
                tags: found.map { StatTag($0.name, String(decoding: bytes[$0.value], as: UTF8.self)) })
        }
    }

    /// A name without some of its parts.
    package static func cut(_ ranges: [Range<Int>], from name: UnsafeBufferPointer<UInt8>) -> String {
        if ranges.isEmpty { return String(decoding: name, as: UTF8.self) }
        var rest: [UInt8] = []
        rest.reserveCapacity(name.count)
        for index in name.indices where !ranges.contains(where: { $0.contains(index) }) { rest.append(name[index]) }
        return String(decoding: rest, as: UTF8.self)
    }
}
