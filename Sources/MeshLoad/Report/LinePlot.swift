// SPDX-License-Identifier: Apache-2.0

/// A plot of lines as SVG, coloured by the page's style so that it follows light and dark.
struct LinePlot {
    struct Line {
        let name: String
        /// Of the style sheet: `a`, `b` or `c`.
        let colour: String
        let points: [(x: Double, y: Double)]
    }

    let title: String
    let xLabel: String
    let lines: [Line]
    /// Marks of the x axis and their texts.
    let xMarks: [(x: Double, text: String)]
    let yText: (Double) -> String

    /// About as wide as a plot on a screen, so that its text is as large as the page's there and readable on a phone.
    private static let width = 440.0
    private static let height = 230.0
    private static let left = 66.0
    private static let right = 22.0
    private static let top = 16.0
    private static let bottom = 40.0

    func svg() -> String {
        let points = lines.flatMap(\.points)
        let xs = points.map(\.x) + xMarks.map(\.x)
        guard let xLow = xs.min(), let xHigh = xs.max(), xHigh > xLow else { return "<p class=\"quiet\">\(HTMLText.escape(title)): nothing to draw</p>" }
        let (step, count) = LinePlot.steps(to: points.map(\.y).max() ?? 1)
        let yHigh = LinePlot.roundUp(points.map(\.y).max() ?? 1)
        func place(_ x: Double, _ y: Double) -> (Double, Double) {
            (
                LinePlot.left + (x - xLow) / (xHigh - xLow) * (LinePlot.width - LinePlot.left - LinePlot.right),
                LinePlot.height - LinePlot.bottom - y / yHigh * (LinePlot.height - LinePlot.top - LinePlot.bottom)
            )
        }
        var out = "<figure><figcaption>\(HTMLText.escape(title))"
        for line in lines { out += " <span class=\"key \(line.colour)\">\(HTMLText.escape(line.name))</span>" }
        out += "</figcaption><svg viewBox=\"0 0 \(Int(LinePlot.width)) \(Int(LinePlot.height))\" role=\"img\" aria-label=\"\(HTMLText.escape(title))\">"
        for index in 0...count {
            let value = step * Double(index)
            let (x, y) = place(xLow, value)
            let (end, _) = place(xHigh, value)
            out += "<line class=\"grid\" x1=\"\(n(x))\" y1=\"\(n(y))\" x2=\"\(n(end))\" y2=\"\(n(y))\"/>"
            out += "<text x=\"\(n(x - 8))\" y=\"\(n(y + 4))\" text-anchor=\"end\">\(index == 0 ? "0" : HTMLText.escape(yText(value)))</text>"
        }
        for mark in xMarks {
            let (x, y) = place(mark.x, 0)
            out += "<text x=\"\(n(x))\" y=\"\(n(y + 18))\" text-anchor=\"middle\">\(HTMLText.escape(mark.text))</text>"
        }
        out += "<text x=\"\(n(LinePlot.width / 2))\" y=\"\(n(LinePlot.height - 4))\" text-anchor=\"middle\">\(HTMLText.escape(xLabel))</text>"
        for line in lines {
            let path = line.points.map { point in
                let (x, y) = place(point.x, point.y)
                return "\(n(x)),\(n(y))"
            }
            out += "<polyline class=\"\(line.colour)\" points=\"\(path.joined(separator: " "))\"/>"
        }
        return out + "</svg></figure>"
    }

    private func n(_ value: Double) -> String { DurationText.fixed(value, 1) }

    /// Marks from 0 to `highest` or a little more: four or five, at 1, 2 or 5 times a power of ten, or fewer.
    static func steps(to highest: Double) -> (step: Double, count: Int) {
        guard highest > 0, highest.isFinite else { return (1, 1) }
        var scale = 1.0
        while scale * 10 <= highest / 5 { scale *= 10 }
        while scale > highest / 5 { scale /= 10 }
        let step = [1.0, 2, 5, 10].map { $0 * scale }.first { $0 * 5 >= highest * 0.999_999 } ?? 10 * scale
        return (step, max(1, Int((highest / step - 1e-6).rounded(.up))))
    }

    /// Where an axis with such marks ends.
    static func roundUp(_ value: Double) -> Double {
        let (step, count) = steps(to: value)
        return step * Double(count)
    }

    /// Marks of a time axis. - Unit: seconds.
    static func timeMarks(_ seconds: Double) -> [(x: Double, text: String)] {
        let (step, _) = steps(to: seconds)
        return (0...5).map { Double($0) * step }.filter { $0 <= seconds * 1.000_001 }.map { ($0, plain($0)) }
    }

    /// A number with the digits it has, three behind the point at most.
    static func plain(_ value: Double) -> String {
        var text = DurationText.fixed(value, 3)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text
    }
}

/// Text in HTML.
enum HTMLText {
    static func escape(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.append(character)
            }
        }
        return out
    }
}
