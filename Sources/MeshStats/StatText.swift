// SPDX-License-Identifier: Apache-2.0

/// `/stats` as text and as JSON, in Envoy's format.
extension StatCatalog {
    /// `name: value` lines; a histogram's line lists its quantiles as `P50(interval,cumulative)`, where the interval part is
    /// `nan`, for Apus keeps no interval histograms.
    package func text(_ query: StatQuery) -> [UInt8] {
        let (scalars, histograms) = samples(query)
        var output: [UInt8] = []
        for sample in scalars {
            output += sample.name.utf8
            output += ": ".utf8
            output += String(sample.value).utf8
            output.append(UInt8(ascii: "\n"))
        }
        for (sample, bins) in histograms {
            output += sample.name.utf8
            output += ":".utf8
            let values = bins.quantileValues()
            if values.isEmpty { output += " No recorded values".utf8 }
            for (quantile, value) in zip(HistogramBins.quantiles, values) {
                output += " P\(StatNumber.text(quantile))(nan,\(StatNumber.text(value)))".utf8
            }
            output.append(UInt8(ascii: "\n"))
        }
        return output
    }

    /// `{"stats":[{"name":…,"value":…},…,{"histograms":{…}}]}`.
    package func json(_ query: StatQuery) -> [UInt8] {
        let (scalars, histograms) = samples(query)
        var output: [UInt8] = Array("{\"stats\":[".utf8)
        var isFirst = true
        func separate() {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
        }
        for sample in scalars {
            separate()
            output += "{\"name\":".utf8
            StatNumber.appendJSON(sample.name, to: &output)
            output += ",\"value\":\(sample.value)}".utf8
        }
        if !histograms.isEmpty {
            separate()
            let quantiles = HistogramBins.quantiles.map(StatNumber.text).joined(separator: ",")
            output += "{\"histograms\":{\"supported_quantiles\":[\(quantiles)],\"computed_quantiles\":[".utf8
            isFirst = true
            for (sample, bins) in histograms {
                separate()
                output += "{\"name\":".utf8
                StatNumber.appendJSON(sample.name, to: &output)
                output += ",\"values\":[".utf8
                let values = bins.quantileValues()
                let texts = HistogramBins.quantiles.indices.map { index in
                    "{\"cumulative\":\(values.isEmpty ? "null" : StatNumber.text(values[index])),\"interval\":null}"
                }
                output += texts.joined(separator: ",").utf8
                output += "]}".utf8
            }
            output += "]}}".utf8
        }
        output += "]}".utf8
        return output
    }
}

/// How numbers and names are written.
enum StatNumber {
    /// The shortest text that reads back as the same number, without a `.0`.
    static func text(_ value: Double) -> String {
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// A JSON string with its quotes.
    static func appendJSON(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0..<0x20:
                let hex = Array("0123456789abcdef".utf8)
                output += "\\u00".utf8
                output.append(hex[Int(byte >> 4)])
                output.append(hex[Int(byte & 15)])
            default:
                output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
