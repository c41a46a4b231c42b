// SPDX-License-Identifier: Apache-2.0

/// `/stats/prometheus`, in Envoy's format: counters, gauges, histograms; in each, series grouped by the name without labels.
extension StatCatalog {
    /// The Prometheus text exposition of the wanted stats.
    package func prometheus(_ query: StatQuery) -> [UInt8] {
        let (scalars, histograms) = samples(query)
        var output: [UInt8] = []
        for kind in [StatKind.counter, .gauge] {
            let ofKind = scalars.filter { $0.definition.kind == kind }
            for group in PrometheusText.groups(ofKind, name: \.extractedName) {
                let name = PrometheusText.metricName(group[0])
                output += "# TYPE \(name) \(kind == .counter ? "counter" : "gauge")\n".utf8
                for sample in group {
                    output += name.utf8
                    output += "{\(PrometheusText.labels(sample))} \(sample.value)\n".utf8
                }
            }
        }
        let pairs = histograms.map { PrometheusText.HistogramSample(sample: $0.0, bins: $0.1) }
        for group in PrometheusText.groups(pairs, name: \.sample.extractedName) {
            let name = PrometheusText.metricName(group[0].sample)
            output += "# TYPE \(name) \(query.printsSummaries ? "summary" : "histogram")\n".utf8
            for series in group { PrometheusText.append(series, name: name, query, to: &output) }
        }
        return output
    }
}

enum PrometheusText {
    struct HistogramSample {
        let sample: StatSample
        let bins: HistogramBins
    }

    /// Series of one name together, names in byte order, series in the order of their full names.
    static func groups<Element>(_ elements: [Element], name: (Element) -> String) -> [[Element]] {
        var byName: [String: [Element]] = [:]
        for element in elements { byName[name(element), default: []].append(element) }
        return byName.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.compactMap { byName[$0] }
    }

    /// `envoy_` and the name with everything but letters, digits and `_` replaced.
    static func metricName(_ sample: StatSample) -> String {
        let name = sanitized(sample.extractedName)
        if sample.scope.isEnvoyNamespace { return "envoy_" + name }
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

    /// `a="x",b="y"`, innermost label first.
    static func labels(_ sample: StatSample) -> String {
        var tags = sample.scope.tags
        if let tag = sample.definition.tag { tags.append(tag) }
        return tags.reversed().map { "\(sanitized($0.name))=\"\(escaped($0.value))\"" }.joined(separator: ",")
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

    static func append(_ series: HistogramSample, name: String, _ query: StatQuery, to output: inout [UInt8]) {
        let labels = labels(series.sample)
        let lead = labels.isEmpty ? "" : labels + ","
        if query.printsSummaries {
            for (quantile, value) in zip(HistogramBins.quantiles, series.bins.quantileValues()) {
                output += "\(name){\(lead)quantile=\"\(StatNumber.text(quantile / 100))\"} \(StatNumber.text(value))\n".utf8
            }
        } else {
            let counts = series.bins.cumulativeCounts(query.bucketBounds)
            for (bound, count) in zip(query.bucketBounds, counts) {
                output += "\(name)_bucket{\(lead)le=\"\(StatNumber.text(bound))\"} \(count)\n".utf8
            }
            output += "\(name)_bucket{\(lead)le=\"+Inf\"} \(series.bins.count)\n".utf8
        }
        output += "\(name)_sum{\(labels)} \(series.bins.sum)\n".utf8
        output += "\(name)_count{\(labels)} \(series.bins.count)\n".utf8
    }
}
