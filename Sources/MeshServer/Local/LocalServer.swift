// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO
import Synchronization

/// A small HTTP/1 server on a thread of its own, over poll(2): admin and the demo's upstream.
///
/// It answers one request after the other and keeps nothing for long; no worker waits for it, and it waits for no client: a
/// slow reader's answer stays in its connection's buffer.
package final class LocalServer: Sendable {
    /// Connections at a time; the oldest idle one makes room.
    package static let maxConnections = 128
    /// An idle connection is closed after this. - Unit: milliseconds.
    package static let idleTimeout: Int64 = 60_000

    private let listener: Int32
    private let pipe = WakePipe()
    private let isStopping = Mutex(false)
    private let thread: Mutex<NamedThread?> = Mutex(nil)
    private let server: String
    private let handler: @Sendable (LocalRequest) -> LocalResponse

    /// - Parameters:
    ///   - socket: a listening, non-blocking socket; the server closes it.
    ///   - server: value of the `server` field.
    ///   - handler: called on the server's thread.
    package init(
        socket: ListeningSocket, name: String, server: String, handler: @escaping @Sendable (LocalRequest) -> LocalResponse
    ) {
        listener = socket.descriptor
        self.server = server
        self.handler = handler
        let started = NamedThread(name: name) { [self] in run() }
        thread.withLock { $0 = started }
    }

    /// Ends the thread after what it is doing, and closes its connections once their answers are sent.
    package func stop() {
        isStopping.withLock { $0 = true }
        pipe.wake()
        thread.withLock { $0 }?.join()
        thread.withLock { $0 = nil }
    }

    private func run() {
        var connections: [LocalConnection] = []
        defer {
            for connection in connections { close(connection.descriptor) }
            close(listener)
        }
        while true {
            let stops = isStopping.withLock { $0 }
            if stops {
                // What was answered is sent; nothing new is read.
                connections.removeAll { connection in
                    guard !connection.hasOutput else { return false }
                    close(connection.descriptor)
                    return true
                }
                if connections.isEmpty { return }
            }
            var events = [pollfd(fd: pipe.reader, events: Int16(POLLIN), revents: 0)]
            events.append(pollfd(fd: stops ? -1 : listener, events: Int16(POLLIN), revents: 0))
            for connection in connections {
                events.append(pollfd(fd: connection.descriptor, events: connection.interest(stops: stops), revents: 0))
            }
            let ready = poll(&events, nfds_t(events.count), stops ? 500 : 5_000)
            // The clients of a process that ends get half a second to read on.
            if stops, ready == 0 { return }
            if events[0].revents != 0 { pipe.drain() }
            let now = LocalServer.milliseconds()
            for (index, connection) in connections.enumerated() {
                let happened = events[index + 2].revents
                if happened & Int16(POLLIN | POLLHUP | POLLERR) != 0, !stops { connection.receive(now, server, handler) }
                if happened & Int16(POLLOUT) != 0 || connection.hasOutput { connection.send() }
                if now - connection.lastActivity > LocalServer.idleTimeout { connection.isOver = true }
            }
            connections.removeAll { connection in
                guard connection.isOver else { return false }
                close(connection.descriptor)
                return true
            }
            if events[1].revents != 0 { accept(into: &connections, now) }
        }
    }

    private func accept(into connections: inout [LocalConnection], _ now: Int64) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            if connections.count >= LocalServer.maxConnections {
                let oldest = connections.indices.min { connections[$0].lastActivity < connections[$1].lastActivity }
                if let oldest { close(connections.remove(at: oldest).descriptor) }
            }
            connections.append(LocalConnection(descriptor: descriptor, now: now))
        }
    }

    static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// One connection of a `LocalServer`.
private final class LocalConnection {
    let descriptor: Int32
    private var input: [UInt8] = []
    private var output: ArraySlice<UInt8> = []
    private var closesAfterOutput = false
    var lastActivity: Int64
    var isOver = false

    init(descriptor: Int32, now: Int64) {
        self.descriptor = descriptor
        lastActivity = now
    }

    var hasOutput: Bool { !output.isEmpty }

    /// Nothing is read while an answer waits, so a client that does not read cannot pile up answers.
    func interest(stops: Bool) -> Int16 {
        if hasOutput { return Int16(POLLOUT) }
        return stops ? 0 : Int16(POLLIN)
    }

    func receive(_ now: Int64, _ server: String, _ handler: (LocalRequest) -> LocalResponse) {
        lastActivity = now
        var chunk: [UInt8] = Array(repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count <= 0 {
            if count == 0 || (errno != EAGAIN && errno != EINTR) { isOver = true }
            return
        }
        input += chunk[..<count]
        while !closesAfterOutput {
            switch LocalRequestParser.parse(input) {
            case .incomplete: return
            case .refused(let status):
                output += LocalResponseWriter.bytes(LocalResponse(status, ""), to: nil, server: server)
                closesAfterOutput = true
            case .request(let request, let used):
                input.removeFirst(used)
                output += LocalResponseWriter.bytes(handler(request), to: request, server: server)
                closesAfterOutput = !request.keepsAlive
            }
        }
    }

    func send() {
        while !output.isEmpty {
            let count = output.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                output = output.dropFirst(count)
                lastActivity = LocalServer.milliseconds()
            } else if count < 0, errno == EINTR {
                continue
            } else {
                if count == 0 || errno != EAGAIN { isOver = true }
                return
            }
        }
        output = []
        if closesAfterOutput { isOver = true }
    }
}
