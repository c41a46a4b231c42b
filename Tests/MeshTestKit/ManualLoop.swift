// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO
package import Testing

/// A loop that a test turns by hand: time stands still until `advance`, connections are in memory.
///
/// A turn delivers what the pipes carry and runs the end of the turn, until nothing is left to do. Long work is done when
/// nothing else is.
package final class ManualLoop: EventLoop {
    /// What happens to a connection to a registered address.
    package enum Reception {
        /// The upstream's end of the connection; start it with a handler. Reported as connected in the next turn.
        case accept((PipeStream) -> Void)
        /// Fails with this errno.
        case refuse(Int32)
        /// Never connects.
        case hang
    }

    private var receptions: [Address: Reception] = [:]
    private var listeners: [Address: ManualListener] = [:]
    /// Every connection attempt, in order.
    package private(set) var attempts: [(address: Address, options: ConnectOptions)] = []
    private var ready: [PipeStream] = []
    private var wakers: [ManualWaker] = []

    /// Turns without an end mean two sides that never stop answering each other.
    private static let maxRounds = 100_000

    package init(startingAt milliseconds: UInt64 = 1_000_000) {
        super.init(
            now: MonotonicInstant(nanoseconds: milliseconds * 1_000_000),
            // 2026-01-01T00:00:00Z
            wallClock: 1_767_225_600_000_000_000)
        TestRoots.keep(self)
    }

    /// Ends of connections that are not closed: two of them hold each other, and a test may forget them.
    var open: [ObjectIdentifier: PipeStream] = [:]

    // MARK: Peers

    /// Says what happens to connections to `address`; without it, connecting there is an issue of the test.
    package func register(_ address: Address, _ reception: Reception) { receptions[address] = reception }

    /// Connects a client to a listener of this loop; returns the client's end, not yet started. Nil (and an issue) when
    /// nobody listens there.
    ///
    /// - Parameter original: what the accepted stream answers as its original destination.
    package func connectClient(
        to address: Address, from remote: Address = .ipv4(0x7F00_0001, port: 50_000),
        redirectedFrom original: Address? = nil
    ) -> PipeStream? {
        guard let listener = listeners[address], let handler = listener.handler else {
            Issue.record("nobody listens on \(address); there are \(listeners.keys.map(\.description).sorted())")
            return nil
        }
        let (client, server) = PipeStream.pair(on: self, clientAddress: remote, serverAddress: address)
        server.redirectedFrom = original
        if listener.isPaused { listener.backlog.append(server) } else { handler.onAccept(server) }
        return client
    }

    override package func connect(
        to address: Address, options: ConnectOptions, handler: StreamHandler
    ) -> ByteStream {
        attempts.append((address, options))
        let source = options.bindAddress ?? .ipv4(0x7F00_0001, port: UInt16(truncatingIfNeeded: 40_000 + attempts.count))
        let (client, server) = PipeStream.pair(on: self, clientAddress: source, serverAddress: address)
        client.handler = Unmanaged.passUnretained(handler)
        switch receptions[address] {
        case .accept(let body):
            client.connection = .pending { body(server) }
            schedule(client)
        case .refuse(let error):
            client.connection = .refused(error)
            schedule(client)
        case .hang:
            client.connection = .never
        case nil:
            let known = receptions.keys.map(\.description).sorted()
            Issue.record("unexpected connection to \(address); registered are \(known)")
            client.connection = .refused(ECONNREFUSED)
            schedule(client)
        }
        return client
    }

    override package func listen(
        _ socket: ListeningSocket, acceptsPerWake: Int, handler: ListenHandler
    ) -> StreamListener {
        let listener = ManualListener(loop: self, address: socket.address, handler: handler)
        listeners[socket.address] = listener
        return listener
    }

    override package func makeWaker(_ body: @escaping () -> Void) -> any Waker {
        let waker = ManualWaker()
        waker.body = body
        wakers.append(waker)
        return waker
    }

    func forget(_ listener: ManualListener) {
        if listeners[listener.address] === listener { listeners[listener.address] = nil }
    }

    // MARK: Time

    func schedule(_ stream: PipeStream) {
        guard !stream.isScheduled else { return }
        stream.isScheduled = true
        ready.append(stream)
    }

    /// Runs until nothing is left to do at this moment.
    package func turn(location: SourceLocation = #_sourceLocation) {
        for _ in 0..<ManualLoop.maxRounds {
            for waker in wakers where waker.isAwake {
                waker.isAwake = false
                waker.body?()
            }
            let batch = ready
            ready = []
            for stream in batch {
                stream.isScheduled = false
                stream.onReady()
            }
            runEndOfTurn()
            guard ready.isEmpty, !hasPendingTurnEnd, !wakers.contains(where: \.isAwake) else { continue }
            if !hasLongWork { return }
            runLongWork(isQuiet: true) { now.nanoseconds }
        }
        Issue.record("the loop does not come to rest", sourceLocation: location)
    }

    /// Moves the clocks on, firing timers at their time and turning after each.
    package func advance(byMilliseconds milliseconds: UInt64, location: SourceLocation = #_sourceLocation) {
        turn(location: location)
        let target = now.advanced(byMilliseconds: milliseconds)
        while let wake = timers.nextWake(), wake <= target {
            move(to: max(wake, now))
            timers.advance(to: now)
            turn(location: location)
        }
        move(to: target)
        timers.advance(to: now)
        turn(location: location)
    }

    private func move(to instant: MonotonicInstant) {
        wallClock += instant.nanoseconds(since: now)
        now = instant
    }
}

/// A listener without a socket.
package final class ManualListener: StreamListener {
    let loop: ManualLoop
    let address: Address
    private(set) var handler: ListenHandler?
    private(set) var isPaused = false
    var backlog: [PipeStream] = []

    init(loop: ManualLoop, address: Address, handler: ListenHandler) {
        self.loop = loop
        self.address = address
        self.handler = handler
        super.init()
    }

    override package func pause() { isPaused = true }

    override package func resume() {
        isPaused = false
        let waiting = backlog
        backlog = []
        for stream in waiting { handler?.onAccept(stream) }
    }

    override package func close() {
        resume()
        handler = nil
        loop.forget(self)
    }
}

/// Sendable because a `ManualLoop` and everything around it stay on the test's thread.
final class ManualWaker: Waker, @unchecked Sendable {
    var isAwake = false
    var body: (() -> Void)?
    func wake() { isAwake = true }
}
