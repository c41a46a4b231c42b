// SPDX-License-Identifier: Apache-2.0

/// `/stats/prometheus`, in Envoy's format: counters, gauges, histograms; in each, series grouped by the name without labels.
///
/// A format in which all series of a name must stand together cannot be printed in the order of the walk: the rows of a kind
/// are first gathered by name, of which 30 bytes each are kept, and then printed.
struct PrometheusPrinter: StatPrinter {
    private let query: StatQuery
    private let snapshot: StatSnapshot
    private var kinds: [StatKind]
    private var cursor: StatCursor
    private var gathered: [String: [StatSnapshot.Item]] = [:]
    /// The names still to be printed, last one first; nil while gathering.
    private var names: [String]?
    private var group: [StatSnapshot.Item] = []
    private var position = 0
    private var metricName = ""

    init(_ snapshot: StatSnapshot, _ query: StatQuery) {
        self.query = query
        self.snapshot = snapshot
        kinds = [StatKind.histogram, .gauge, .counter].filter { query.kinds.contains($0) }
        cursor = StatCursor(snapshot, kinds: kinds.last.map { [$0] } ?? [], usedOnly: query.usedOnly)
    }

    mutating func step(into output: inout [UInt8]) -> Bool {
        guard let kind = kinds.last else { return false }
        if names == nil {
            gather()
            return true
        }
        if position < group.count {
            print(group[position], kind, to: &output)
            position += 1
            return true
        }
        if let name = names?.popLast(), let items = gathered.removeValue(forKey: name), let first = items.first {
            group = items
            position = 0
            metricName = PrometheusText.metricName(name, isEnvoyNamespace: snapshot.groups[Int(first.group)].name.isEnvoyNamespace)
            output += "# TYPE \(metricName) \(type(of: kind))\n".utf8
            return true
        }
        kinds.removeLast()
        names = nil
        group = []
        position = 0
        cursor = StatCursor(snapshot, kinds: kinds.last.map { [$0] } ?? [], usedOnly: query.usedOnly)
        return !kinds.isEmpty
    }

    private mutating func gather() {
        guard let (name, item) = cursor.next() else {
            if !cursor.isAtEnd { return }
            // Envoy compares names dot by dot: a dot sorts before every other byte.
            names = gathered.keys.sorted { PrometheusText.precedes($1, $0) }
            return
        }
        guard query.wants(name) else { return }
        gathered[labels(name).name, default: []].append(item)
    }

    private func labels(_ name: String) -> StatLabels { query.labels?(name) ?? StatLabels(defaultsOf: name) }

    private var isSummary: Bool { query.histogramForm == .summary }

    private func type(of kind: StatKind) -> String {
        switch kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: isSummary ? "summary" : "histogram"
        }
    }

    private func print(_ item: StatSnapshot.Item, _ kind: StatKind, to output: inout [UInt8]) {
        let name = snapshot.name(item)
        let tags = PrometheusText.text(labels(name).tags)
        guard kind == .histogram else {
            output += "\(metricName){\(tags)} \(snapshot.scalar(item).value)\n".utf8
            return
        }
        let lead = tags.isEmpty ? "" : tags + ","
        let bins = snapshot.bins(item)
        if isSummary {
            let values = bins.quantileValues()
            for (index, quantile) in HistogramBins.quantiles.enumerated() {
                let value = values.isEmpty ? "nan" : StatNumber.prometheus(values[index])
                output += "\(metricName){\(lead)quantile=\"\(StatNumber.text(quantile / 100))\"} \(value)\n".utf8
            }
        } else {
            let bounds = query.bounds(name)
            for (bound, count) in zip(bounds, bins.cumulativeCounts(bounds)) {
                output += "\(metricName)_bucket{\(lead)le=\"\(StatNumber.prometheus(bound))\"} \(count)\n".utf8
            }
            output += "\(metricName)_bucket{\(lead)le=\"+Inf\"} \(bins.count)\n".utf8
        }
        output += "\(metricName)_sum{\(tags)} \(bins.sum)\n".utf8
        output += "\(metricName)_count{\(tags)} \(bins.count)\n".utf8
    }
}

enum PrometheusText {
    /// `envoy_` and the name with everything but letters, digits and `_` replaced.
    static func metricName(_ name: String, isEnvoyNamespace: Bool) -> String {
        let name = sanitized(name)
        if isEnvoyNamespace { return "envoy_" + name }
        // A name may not begin with a digit; Envoy's own prefix hides that.
        return name.utf8.first.map { (0x30...0x39).contains($0) } == true ? "_" + name : name
    }

    /// `[^a-zA-Z0-9_]` becomes `_`.
    static func sanitized(_ name: String) -> String {
        String(
            decoding: name.utf8.map { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: byte
                default: UInt8(ascii: "_")
                }
            }, as: UTF8.self)
    }

    /// `a="x",b="y"`.
    static func text(_ tags: [StatTag]) -> String {
        tags.map { "\(sanitized($0.name))=\"\(escaped($0.value))\"" }.joined(separator: ",")
    }

    /// The label escapes of the exposition format.
    static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
        var output: [UInt8] = []
        for byte in value.utf8 {
            switch byte {
            case 0x5C: output += "\\\\".utf8
            case 0x22: output += "\\\"".utf8
            case 0x0A: output += "\\n".utf8
            default: output.append(byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Names in the order of their parts between dots.
    static func precedes(_ one: String, _ other: String) -> Bool {
        func key(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: ".") ? 0 : byte }
        return one.utf8.lazy.map(key).lexicographicallyPrecedes(other.utf8.lazy.map(key))
    }
}
