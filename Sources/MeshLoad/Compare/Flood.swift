// SPDX-License-Identifier: Apache-2.0

/// Full handshakes at a steady rate, by another process that gets only the processor time which the load leaves, so that what
/// a latency beside it shows is the proxy's doing.
final class Flood {
    struct Result {
        let perSecond: Double
        let failures: [String: UInt64]
    }

    private let child: ChildProcess
    private let json: String
    private let seconds: Double

    init(_ process: ProxyProcess, bench: ComparisonBench, rate: Double, seconds: Double) throws(ScenarioError) {
        json = bench.folder + "/flood.json"
        self.seconds = seconds
        let certificates = bench.certificates.folder
        let begun = bench.folder + "/flood.log"
        child = try ChildProcess(
            [
                "chrt", "-i", "0", bench.program, "run", "https://127.0.0.1:\(process.setup.port)/", "--rate", "\(rate)", "--connections", "32",
                "--connect-per-request", "--duration", "\(seconds)s", "--warm-up", "0s", "--sni", "localhost", "--cert",
                certificates + "/client.pem", "--key", certificates + "/client.key", "--json", json,
            ], cpu: bench.loadCPU, log: begun)
    }

    /// Waits for its end.
    func end() throws(ScenarioError) -> Result {
        guard child.wait(seconds: seconds + 30) else { throw ScenarioError("the handshakes: \(child.lastWords)") }
        guard let text = ProcessReader.text(json) else { throw ScenarioError("\(json): cannot be read") }
        let summary = try FileReport.read(Array(text.utf8), path: json)
        return Result(perSecond: summary.throughput.value, failures: summary.failures)
    }
}
