// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What a data plane took for a mesh of one size, in one round.
public struct MeshReading: Equatable, Sendable, Codable {
    public let proxy: String
    public let shape: MeshShape
    public let round: Int
    public let configurationBytes: UInt64
    /// From the start of the process until it had answered a request for the last service. - Unit: seconds.
    public let secondsToServe: Double
    /// Before the load. - Unit: bytes.
    public let idleBytes: UInt64
    public let loadedBytes: UInt64
    /// Processor time per answered request. - Unit: microseconds.
    public let cpuMicroseconds: Double
    public let throughput: Double
    public let failed: UInt64
    /// Whether other programs used too much of the machine; the cost then counts for little.
    public let isDropped: Bool
}

/// A mesh at several sizes.
public struct MeshReport: Equatable, Sendable, Codable {
    public static let currentFormat = 1

    public var format = MeshReport.currentFormat
    public let date: String
    public let machine: String
    public let command: String
    public let form: MeshForm
    /// Services that were asked.
    public let asked: Int
    public let participants: [ComparisonParticipant]
    public let readings: [MeshReading]
    /// Why a proxy could not be measured at a size.
    public let broken: [String]

    /// A proxy at a size: medians over the rounds.
    struct Row: Equatable {
        let proxy: String
        let shape: MeshShape
        let configurationBytes: Double
        let secondsToServe: Double
        let idleBytes: Double
        let loadedBytes: Double
        let cpuMicroseconds: Double
        let throughput: Double
        let failed: UInt64
        let hasNoise: Bool
    }

    var rows: [Row] {
        var rows: [Row] = []
        var seen: [(String, MeshShape)] = []
        for reading in readings where !seen.contains(where: { $0.0 == reading.proxy && $0.1 == reading.shape }) {
            seen.append((reading.proxy, reading.shape))
        }
        for (proxy, shape) in seen {
            let own = readings.filter { $0.proxy == proxy && $0.shape == shape }
            let clean = own.filter { !$0.isDropped }
            func median(_ readings: [MeshReading], _ value: (MeshReading) -> Double) -> Double { PairedRatio.median(of: readings.map(value)) }
            let quiet = clean.isEmpty ? own : clean
            rows.append(
                Row(
                    proxy: proxy, shape: shape, configurationBytes: median(own) { Double($0.configurationBytes) },
                    secondsToServe: median(quiet, \.secondsToServe), idleBytes: median(own) { Double($0.idleBytes) },
                    loadedBytes: median(own) { Double($0.loadedBytes) }, cpuMicroseconds: median(quiet, \.cpuMicroseconds),
                    throughput: median(quiet, \.throughput), failed: own.reduce(0) { $0 + $1.failed }, hasNoise: clean.isEmpty))
        }
        return rows
    }

    public var isValid: Bool { broken.isEmpty && readings.allSatisfy { $0.failed == 0 } }

    /// One line for each start of a data plane.
    public var csv: String {
        var out = "proxy,services,endpoints,routes,round,dropped,configuration_bytes,seconds_to_serve,idle_bytes,loaded_bytes,cpu_us,requests_per_second,failed\n"
        for one in readings {
            out += "\"\(one.proxy)\",\(one.shape.services),\(one.shape.endpoints),\(one.shape.routes),\(one.round),\(one.isDropped),"
            out += "\(one.configurationBytes),\(one.secondsToServe),\(one.idleBytes),\(one.loadedBytes),\(one.cpuMicroseconds),"
            out += "\(one.throughput),\(one.failed)\n"
        }
        return out
    }

    // MARK: For people

    func table() -> [[String]] {
        var table = [["", "services", "configuration", "time to serve", "RSS idle", "a service more", "RSS loaded", "CPU per request", "requests/s"]]
        let rows = rows
        for row in rows {
            // What one more service takes, from the next smaller mesh of this proxy to this one.
            let smaller = rows.last { $0.proxy == row.proxy && $0.shape.services < row.shape.services }
            let more = smaller.map { (row.idleBytes - $0.idleBytes) / Double(row.shape.services - $0.shape.services) }
            table.append([
                row.proxy, String(row.shape.services), DurationText.bytes(UInt64(row.configurationBytes)),
                DurationText.text(UInt64(row.secondsToServe * 1e9)), DurationText.bytes(UInt64(row.idleBytes)),
                more.map { DurationText.bytes(UInt64(max(0, $0))) } ?? "–", DurationText.bytes(UInt64(row.loadedBytes)),
                DurationText.digits(row.cpuMicroseconds) + " µs" + (row.hasNoise ? " (noisy)" : "") + (row.failed > 0 ? " (\(row.failed) FAILED)" : ""),
                DurationText.count(row.throughput),
            ])
        }
        return table
    }

    private var about: String {
        let shape = readings.first?.shape
        return "\(shape?.endpoints ?? 0) endpoints and \(shape?.routes ?? 0) routes a service, as \(form == .xds ? "a folder of xDS" : "a bootstrap"); "
            + "\(asked) of the services are asked, over 64 connections"
    }

    public var text: String {
        var out = about + "\n"
        for row in ComparisonText.aligned(table()) { out += "  \(row)\n" }
        for text in broken { out += "  invalid: \(text)\n" }
        if rows.contains(where: \.hasNoise) { out += "  noisy: other programs used more than a quarter of a core in every round\n" }
        return out
    }

    public var page: String {
        var body = "<p class=\"quiet\">\(HTMLText.escape(date)) · \(HTMLText.escape(machine)) · <code>\(HTMLText.escape(command))</code> · \(HTMLText.escape(about))</p>"
        for text in broken { body += "<p class=\"warning\">invalid: \(HTMLText.escape(text))</p>" }
        body += "<div class=\"plots\">"
        body += plot("Memory before the load", { $0.idleBytes }) { DurationText.bytes(UInt64(max(0, $0))) }
        body += plot("Time to serve", { $0.secondsToServe * 1e9 }) { DurationText.text(UInt64(max(0, $0))) }
        body += plot("CPU per request", \.cpuMicroseconds) { DurationText.digits($0) + " µs" }
        body += plot("Requests a second", \.throughput, DurationText.count)
        body += "</div>" + ComparisonPage.table(table())
        body += "<h2>Proxies</h2>" + ComparisonPage.table([["", "version", "binary"]] + participants.map { [$0.label, $0.version, $0.path] })
        return HTMLReport.document(title: "meshbench mesh", body: body)
    }

    /// Services go by decades.
    private func plot(_ title: String, _ value: (Row) -> Double, _ text: @escaping (Double) -> String) -> String {
        let rows = rows
        let colours = ["a", "b", "c"]
        let lines = participants.enumerated().map { place, one in
            LinePlot.Line(
                name: one.label, colour: colours[place % colours.count],
                points: rows.filter { $0.proxy == one.label }.map { (log10(Double($0.shape.services)), value($0)) })
        }
        var sizes: [Int] = []
        for row in rows where !sizes.contains(row.shape.services) { sizes.append(row.shape.services) }
        return LinePlot(
            title: title, xLabel: "services", lines: lines.filter { !$0.points.isEmpty },
            xMarks: sizes.map { (log10(Double($0)), String($0)) }, yText: text
        ).svg()
    }
}
