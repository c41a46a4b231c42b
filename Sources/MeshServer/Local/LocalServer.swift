// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO
import Synchronization

/// Who is told what a `LocalServer` does, on its thread.
package protocol LocalServerObserver: Sendable {
    /// A connection was accepted.
    func accepted()
    /// A connection is over.
    func ended(byClient: Bool, afterMilliseconds length: Int64)
    /// A request was read.
    func requested()
    /// An answer is all sent, or its connection over before that.
    func answered(status: Int, afterMilliseconds time: Int64)
    /// Bytes moved.
    func transferred(received: Int, sent: Int)
}

/// A small HTTP/1 server on a thread of its own, over poll(2): admin and the demo's upstream.
///
/// It answers one request after the other and keeps nothing for long; no worker waits for it, and it waits for no client: a
/// slow reader's answer stays in its connection's buffer. A long answer is made a piece a turn, so that a short question is
/// answered in between, and only as fast as its reader takes it.
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
    private let tick: Tick?
    private let observer: (any LocalServerObserver)?

    /// Something to do now and then on the server's thread.
    package struct Tick: Sendable {
        let milliseconds: Int64
        let action: @Sendable () -> Void

        package init(everyMilliseconds milliseconds: Int64, _ action: @escaping @Sendable () -> Void) {
            self.milliseconds = max(milliseconds, 1)
            self.action = action
        }
    }

    /// - Parameters:
    ///   - socket: a listening, non-blocking socket; the server closes it.
    ///   - server: value of the `server` field.
    ///   - handler: called on the server's thread.
    package init(
        socket: ListeningSocket, name: String, server: String, tick: Tick? = nil, observer: (any LocalServerObserver)? = nil,
        handler: @escaping @Sendable (LocalRequest) -> LocalResponse
    ) {
        listener = socket.descriptor
        self.server = server
        self.handler = handler
        self.tick = tick
        self.observer = observer
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
            for connection in connections { connection.end() }
            close(listener)
        }
        var nextTick = LocalServer.milliseconds() + (tick?.milliseconds ?? 0)
        while true {
            let stops = isStopping.withLock { $0 }
            if stops {
                // What was answered is sent; nothing new is read.
                connections.removeAll { connection in
                    guard !connection.hasOutput else { return false }
                    connection.end()
                    return true
                }
                if connections.isEmpty { return }
            }
            var events = [pollfd(fd: pipe.reader, events: Int16(POLLIN), revents: 0)]
            events.append(pollfd(fd: stops ? -1 : listener, events: Int16(POLLIN), revents: 0))
            for connection in connections {
                events.append(pollfd(fd: connection.descriptor, events: connection.interest(stops: stops), revents: 0))
            }
            var patience: Int64 = stops ? 500 : 5_000
            if tick != nil { patience = min(patience, max(0, nextTick - LocalServer.milliseconds())) }
            // Who could take more of a long answer gets it now, after a look at what the others want.
            let hasWork = connections.contains { $0.wantsPiece }
            let ready = poll(&events, nfds_t(events.count), hasWork ? 0 : Int32(patience))
            // The clients of a process that ends get half a second to read on.
            if stops, ready == 0, !hasWork { return }
            if events[0].revents != 0 { pipe.drain() }
            let now = LocalServer.milliseconds()
            if let tick, now >= nextTick {
                tick.action()
                nextTick = now + tick.milliseconds
            }
            for (index, connection) in connections.enumerated() {
                let happened = events[index + 2].revents
                if happened & Int16(POLLIN | POLLHUP | POLLERR) != 0, !stops { connection.receive(now, server, handler) }
                let makesPiece = connection.wantsPiece
                if makesPiece { connection.makePiece() }
                // The last piece may be empty and the connection to be closed all the same.
                if makesPiece || happened & Int16(POLLOUT) != 0 || connection.hasOutput { connection.send() }
                // What the client sent behind its request waited for the answer's end.
                if !stops { connection.answer(server, handler) }
                if now - connection.lastActivity > LocalServer.idleTimeout { connection.isOver = true }
            }
            connections.removeAll { connection in
                guard connection.isOver else { return false }
                connection.end()
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
                if let oldest { connections.remove(at: oldest).end() }
            }
            connections.append(LocalConnection(descriptor: descriptor, now: now, observer: observer))
        }
    }

    static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

