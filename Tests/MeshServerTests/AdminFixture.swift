// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshServer
import MeshStats
import Synchronization

/// Admin over its endpoints, without a socket.
final class AdminFixture: Sendable {
    let catalog = StatCatalog()
    let view = AdminViewSlot()
    let runtime: Runtime
    /// Commands that admin sent to the control thread.
    let commands = Mutex<[AdminCommand]>([])

    func answer(_ target: String, method: String = "GET", head: String = "", body: String = "") -> (status: Int, body: String) {
        let response = respond(target, method: method, head: head, body: body)
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }

    /// - Parameter head: header lines, each with its end.
    func respond(_ target: String, method: String = "GET", head: String = "", body: String = "") -> LocalResponse {
        let endpoints = AdminEndpoints(context: AdminContext(
            view: view, catalog: catalog, log: log, process: gauges, runtime: runtime, runtimeStats: runtimeStats,
            command: { [self] command in commands.withLock { $0.append(command) } }))
        let text = "\(method) \(target) HTTP/1.1\r\n\(head)content-length: \(body.utf8.count)\r\n\r\n\(body)"
        guard case .request(let request, _) = LocalRequestParser.parse(Array(text.utf8)) else { return LocalResponse(0, "") }
        return endpoints.answer(request)
    }

    let log = ApplicationLog(level: .off)
    private let gauges: ProcessGauges

    private let runtimeStats: RuntimeStats?

    /// - Parameter runtime: counted when it is given.
    init(runtime: Runtime? = nil) {
        self.runtime = runtime ?? Runtime()
        runtimeStats = runtime.map { [catalog] in RuntimeStats(catalog: catalog, runtime: $0) }
        gauges = ProcessGauges(catalog: catalog, startedAt: MonotonicInstant.current())
    }
}
