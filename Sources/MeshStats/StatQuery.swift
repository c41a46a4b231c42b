// SPDX-License-Identifier: Apache-2.0

/// Which stats a reader wants: the parameters of `/stats`.
package struct StatQuery {
    /// Leave out counters that are 0, gauges that were never set and histograms without values (`usedonly`).
    package var usedOnly = false
    /// Keeps names for which it returns true; nil keeps all. The caller compiles `filter=` with a regex engine of its choice.
    package var matches: ((String) -> Bool)?
    /// Whether a stat exists at all for readers (`stats_config.stats_matcher`); nil means every one does.
    package var isIncluded: ((String) -> Bool)?
    /// Changes the labels of a series (`stats_config.stats_tags`, `--stats-tag`); nil leaves the built-in ones.
    package var relabel: ((String, StatLabels) -> StatLabels)?
    /// Which kinds to print (`type=`).
    package var kinds: Set<StatKind> = [.counter, .gauge, .histogram]
    /// Bounds of the Prometheus buckets.
    package var bucketBounds = HistogramBins.prometheusBounds
    /// Print summaries (`quantile=`) in place of Prometheus buckets (`histogram_buckets=summary`).
    package var printsSummaries = false

    package init() {}
}

/// A series' name without label values, and its labels in the order they are printed.
package struct StatLabels: Equatable, Sendable {
    package var name: String
    package var tags: [StatTag]

    package init(name: String, tags: [StatTag]) {
        self.name = name
        self.tags = tags
    }
}

/// One stat with its value at one moment.
struct StatSample {
    let name: String
    let scope: StatScopeName
    let definition: StatDefinition
    /// Value of a counter or gauge.
    let value: Int64

    /// The labels that follow from the scope and the definition: innermost first, as Envoy prints them.
    var labels: StatLabels {
        var tags = scope.tags
        if let tag = definition.tag { tags.append(tag) }
        return StatLabels(name: scope.extractedPrefix + definition.extractedName, tags: tags.reversed())
    }
}

extension StatCatalog {
    /// Every wanted stat: counters and gauges, then histograms, each sorted by name as Envoy sorts them.
    func samples(_ query: StatQuery) -> (scalars: [StatSample], histograms: [(StatSample, HistogramBins)]) {
        let (groups, definitions, pages) = contents()
        var scalars: [StatSample] = []
        var histograms: [(StatSample, HistogramBins)] = []
        for group in groups {
            for entry in group.entries where entry.row != 0 {
                let definition = definitions[Int(entry.definition)]
                guard query.kinds.contains(definition.kind) else { continue }
                var value: Int64 = 0
                var bins = HistogramBins()
                switch definition.kind {
                case .counter:
                    value = Int64(bitPattern: pages.reduce(0) { $0 &+ $1.value(CounterID(row: entry.row)) })
                    if query.usedOnly && value == 0 { continue }
                case .gauge:
                    var isSet = false
                    for page in pages {
                        guard let part = page.value(GaugeID(row: entry.row)) else { continue }
                        isSet = true
                        value &+= part
                    }
                    if query.usedOnly && !isSet { continue }
                case .histogram:
                    for page in pages { page.merge(HistogramID(row: entry.row), into: &bins) }
                    if query.usedOnly && bins.count == 0 { continue }
                }
                let name = group.name.prefix + definition.name
                if let matches = query.matches, !matches(name) { continue }
                if let isIncluded = query.isIncluded, !isIncluded(name) { continue }
                let sample = StatSample(name: name, scope: group.name, definition: definition, value: value)
                if definition.kind == .histogram { histograms.append((sample, bins)) } else { scalars.append(sample) }
            }
        }
        scalars.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        histograms.sort { $0.0.name.utf8.lexicographicallyPrecedes($1.0.name.utf8) }
        return (scalars, histograms)
    }
}
