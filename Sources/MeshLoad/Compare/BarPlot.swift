// SPDX-License-Identifier: Apache-2.0

/// Horizontal bars with their spread as SVG, coloured by the page's style so that they follow light and dark.
struct BarPlot {
    struct Bar: Equatable {
        let name: String
        /// Of the runs; the bar is their median, the whisker from the lowest to the highest.
        let values: [Double]
        /// Drawn in the accent colour.
        let isSubject: Bool
    }

    let title: String
    let bars: [Bar]
    let text: (Double) -> String

    private static let width = 460.0
    private static let left = 132.0
    private static let right = 84.0
    private static let rowHeight = 30.0

    func svg() -> String {
        let drawn = bars.filter { !$0.values.isEmpty }
        guard !drawn.isEmpty else { return "<p class=\"quiet\">\(HTMLText.escape(title)): nothing to draw</p>" }
        let most = LinePlot.roundUp(drawn.flatMap(\.values).max() ?? 1)
        let height = Double(drawn.count) * BarPlot.rowHeight + 10
        let scale = (BarPlot.width - BarPlot.left - BarPlot.right) / most
        var out = "<figure><figcaption>\(HTMLText.escape(title))</figcaption>"
        out += "<svg viewBox=\"0 0 \(Int(BarPlot.width)) \(Int(height))\" role=\"img\" aria-label=\"\(HTMLText.escape(title))\">"
        for (row, bar) in drawn.enumerated() {
            let y = Double(row) * BarPlot.rowHeight + 6
            let median = PairedRatio.median(of: bar.values)
            let low = bar.values.min() ?? median
            let high = bar.values.max() ?? median
            let middle = y + 10
            out += "<text x=\"\(n(BarPlot.left - 8))\" y=\"\(n(middle + 4))\" text-anchor=\"end\">\(HTMLText.escape(bar.name))</text>"
            out += "<rect class=\"\(bar.isSubject ? "a" : "d")\" x=\"\(n(BarPlot.left))\" y=\"\(n(y))\" width=\"\(n(median * scale))\" height=\"20\" rx=\"3\"/>"
            out += "<path class=\"whisker\" d=\"M\(n(BarPlot.left + low * scale)) \(n(middle))H\(n(BarPlot.left + high * scale))\"/>"
            out += "<text class=\"value\" x=\"\(n(BarPlot.left + high * scale + 8))\" y=\"\(n(middle + 4))\">\(HTMLText.escape(text(median)))</text>"
        }
        return out + "</svg></figure>"
    }

    private func n(_ value: Double) -> String { DurationText.fixed(value, 1) }
}
