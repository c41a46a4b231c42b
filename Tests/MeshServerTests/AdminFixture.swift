// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshServer
import MeshStats
import Synchronization

/// Admin over its endpoints, without a socket.
final class AdminFixture: Sendable {
    let catalog = StatCatalog()
    let view = AdminViewSlot()
    /// Commands that admin sent to the control thread.
    let commands = Mutex<[AdminCommand]>([])

    func answer(_ target: String, method: String = "GET") -> (status: Int, body: String) {
        let endpoints = AdminEndpoints(context: AdminContext(
            view: view, catalog: catalog, log: log, process: gauges,
            command: { [self] command in commands.withLock { $0.append(command) } }))
        guard case .request(let request, _) = LocalRequestParser.parse(Array("\(method) \(target) HTTP/1.1\r\n\r\n".utf8)) else {
            return (0, "")
        }
        let response = endpoints.answer(request)
        return (response.status, String(decoding: response.wholeBody, as: UTF8.self))
    }

    private let log = ApplicationLog(level: .off)
    private let gauges: ProcessGauges

    init() { gauges = ProcessGauges(catalog: catalog, startedAt: MonotonicInstant.current()) }
}
