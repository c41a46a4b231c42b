// SPDX-License-Identifier: Apache-2.0

/// `/stats/prometheus`, in Envoy's format: counters, gauges, histograms; in each, series grouped by the name without labels.
extension StatCatalog {
    /// The Prometheus text exposition of the wanted stats.
    package func prometheus(_ query: StatQuery) -> [UInt8] {
        let (scalars, histograms) = samples(query)
        var output: [UInt8] = []
        for kind in [StatKind.counter, .gauge] {
            let series = scalars.filter { $0.definition.kind == kind }
                .map { PrometheusText.Series($0, HistogramBins(), query) }
            for group in PrometheusText.groups(series) {
                let name = PrometheusText.metricName(group[0])
                output += "# TYPE \(name) \(kind == .counter ? "counter" : "gauge")\n".utf8
                for one in group {
                    output += name.utf8
                    output += "{\(PrometheusText.text(one.labels.tags))} \(one.sample.value)\n".utf8
                }
            }
        }
        for group in PrometheusText.groups(histograms.map { PrometheusText.Series($0.0, $0.1, query) }) {
            let name = PrometheusText.metricName(group[0])
            output += "# TYPE \(name) \(query.printsSummaries ? "summary" : "histogram")\n".utf8
            for series in group { PrometheusText.append(series, name: name, query, to: &output) }
        }
        return output
    }
}

enum PrometheusText {
    struct Series {
        let sample: StatSample
        let labels: StatLabels
        let bins: HistogramBins

        init(_ sample: StatSample, _ bins: HistogramBins, _ query: StatQuery) {
            self.sample = sample
            self.bins = bins
            labels = query.relabel?(sample.name, sample.labels) ?? sample.labels
        }
    }

    /// Series of one name together, names in byte order, series in the order of their full names.
    static func groups(_ series: [Series]) -> [[Series]] {
        var byName: [String: [Series]] = [:]
        for one in series { byName[one.labels.name, default: []].append(one) }
        return byName.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.compactMap { byName[$0] }
    }

    /// `envoy_` and the name with everything but letters, digits and `_` replaced.
    static func metricName(_ series: Series) -> String {
        let name = sanitized(series.labels.name)
        if series.sample.scope.isEnvoyNamespace { return "envoy_" + name }
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

    static func append(_ series: Series, name: String, _ query: StatQuery, to output: inout [UInt8]) {
        let labels = text(series.labels.tags)
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
