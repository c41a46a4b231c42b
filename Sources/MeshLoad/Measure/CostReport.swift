// SPDX-License-Identifier: Apache-2.0

/// What the observed process did during the measured time.
public struct CostReport: Equatable, Sendable, Codable {
    /// Processor time for each request that was answered. - Unit: microseconds.
    public let cpuMicrosecondsPerRequest: Double
    /// Processor time over wall time: 1 is one core.
    public let cores: Double
    /// Highest memory in RAM. - Unit: bytes.
    public let peakResidentBytes: UInt64
    /// Memory at the end. - Unit: bytes.
    public let residentBytes: UInt64
    public let voluntarySwitchesPerRequest: Double
    public let involuntarySwitchesPerRequest: Double
    public let peakDescriptors: Int
    /// For the plot, about one a second.
    public let samples: [CostSample]
}

/// One look at the observed process.
public struct CostSample: Equatable, Sendable, Codable {
    /// From the start of the measured time. - Unit: seconds.
    public let time: Double
    /// Since the sample before. 1 is one core.
    public let cores: Double
    public let residentBytes: UInt64
    public let descriptors: Int
}

/// Collects readings of the observed process; the first and the last bound the measured time.
struct CostMeter {
    private var readings: [(time: Double, reading: ProcessReading)] = []

    /// - Parameter time: seconds from the start of the measured time.
    mutating func add(_ reading: ProcessReading, at time: Double) { readings.append((time, reading)) }

    /// Nil with fewer than two readings, or without time between them.
    func report(requests: UInt64) -> CostReport? {
        guard let first = readings.first, let last = readings.last, last.time > first.time else { return nil }
        // A child that ended takes its time along; what is left can only be too low, never below nothing.
        let used = max(0, last.reading.cpuSeconds - first.reading.cpuSeconds)
        let count = Double(max(requests, 1))
        func perRequest(_ end: UInt64, _ start: UInt64) -> Double { end > start ? Double(end - start) / count : 0 }
        var samples: [CostSample] = []
        for (before, now) in zip(readings, readings.dropFirst()) where now.time > before.time {
            samples.append(CostSample(
                time: now.time, cores: max(0, now.reading.cpuSeconds - before.reading.cpuSeconds) / (now.time - before.time),
                residentBytes: now.reading.residentBytes, descriptors: now.reading.descriptors))
        }
        return CostReport(
            cpuMicrosecondsPerRequest: used * 1e6 / count, cores: used / (last.time - first.time),
            peakResidentBytes: readings.map(\.reading.residentBytes).max() ?? 0,
            residentBytes: last.reading.residentBytes,
            voluntarySwitchesPerRequest: perRequest(last.reading.voluntarySwitches, first.reading.voluntarySwitches),
            involuntarySwitchesPerRequest: perRequest(last.reading.involuntarySwitches, first.reading.involuntarySwitches),
            peakDescriptors: readings.map(\.reading.descriptors).max() ?? 0, samples: samples)
    }
}
