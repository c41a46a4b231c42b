// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshDataPlane
import MeshIO
import MeshModel
import MeshUV

/// Opens the workers' listening sockets, with the options of their listener.
final class SocketSource: ListeningSocketSource {
    /// What was bound, by listener name; tells the ports where 0 was asked for.
    private(set) var boundAddresses: [String: [Address]] = [:]

    func open(_ address: ListenerAddress, for listener: Listener, workers: Int) throws(ListenFailure) -> [ListeningSocket] {
        var options = ListenOptions()
        if let backlog = listener.backlog { options.backlog = Int32(clamping: backlog) }
        options.isIPv4Compatible = address.ipv4Compat
        options.isTransparent = listener.transparent ?? false
        if address.pipeMode != 0 { options.mode = address.pipeMode }
        do throws(ListenError) {
            let sockets = try ListeningSockets.make(for: address.address, count: workers, options: options)
            if let first = sockets.first { boundAddresses[listener.name, default: []].append(first.address) }
            return sockets
        } catch {
            throw ListenFailure("cannot bind '\(error.address)': \(String(cString: strerror(error.code)))")
        }
    }

    func close(_ sockets: [ListeningSocket]) { ListeningSockets.close(sockets) }
}

/// Opens nothing: for `--mode validate`, which must not disturb a proxy that runs.
final class NoSockets: ListeningSocketSource {
    func open(_ address: ListenerAddress, for listener: Listener, workers: Int) throws(ListenFailure) -> [ListeningSocket] { [] }

    func close(_ sockets: [ListeningSocket]) {}
}

/// Opens no log file either.
final class NoLogFiles: LogFileSource {
    func open(_ destination: AccessLogConfig.Destination) throws(LogFileFailure) -> LogFileID { LogFileID(rawValue: 0) }
}
