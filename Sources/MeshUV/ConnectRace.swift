// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import MeshIO

/// The attempts of one connection at several addresses of its host (RFC 8305, "happy eyeballs"): the next address is tried
/// when the one before failed or has not answered for 300 ms, and the first that answers wins.
///
/// Invariant: every attempt's socket is open and polled for its stream until it wins, fails, or the race is closed.
final class ConnectRace: TimerTarget {
    private final class Attempt {
        let descriptor: Int32
        let address: Address
        var poll: SocketPoll?

        init(loop: UVLoop, descriptor: Int32, address: Address, stream: UVStream) {
            self.descriptor = descriptor
            self.address = address
            poll = SocketPoll(loop: loop, descriptor: descriptor, owner: .stream(stream))
            poll?.want(PollEvent.writable)
        }

        func close() {
            poll.take()?.close()
            apus_close(descriptor)
        }
    }

    /// The socket that is connected, with its poll.
    struct Winner: ~Copyable {
        let descriptor: Int32
        let address: Address
        var poll: SocketPoll?
    }

    /// How long an address has to answer before the next one is tried too. - Unit: milliseconds.
    private static let patience: UInt64 = 300

    private let loop: UVLoop
    private unowned(unsafe) let stream: UVStream
    private let options: ConnectOptions
    private var rest: ArraySlice<ConnectOptions.Alternative>
    private var attempts: [Attempt] = []
    private var timer = TimerID.none
    /// Why the last attempt failed, as errno.
    private(set) var lastError = ETIMEDOUT

    init(loop: UVLoop, stream: UVStream, first: Address, options: ConnectOptions) {
        self.loop = loop
        self.stream = stream
        self.options = options
        rest = ([ConnectOptions.Alternative(first, bindAddress: options.bindAddress)] + options.alternatives)[...]
        timer = loop.timers.make(target: self)
        startNext()
    }

    /// Nothing is under way and nothing is left to try.
    var isLost: Bool { attempts.isEmpty && rest.isEmpty }

    private func startNext() {
        while let next = rest.popFirst() {
            var options = options
            options.bindAddress = next.bindAddress
            switch OutgoingSocket.connect(to: next.address, options: options) {
            case .failed(let error): lastError = error
            case .connecting(let socket), .connected(let socket):
                attempts.append(Attempt(loop: loop, descriptor: socket, address: next.address, stream: stream))
                if !rest.isEmpty { loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: ConnectRace.patience)) }
                return
            }
        }
    }

    /// One of the sockets has news, which may be that it failed: the next address is tried at once then.
    func check() -> Winner? {
        var won: Attempt?
        var hasFailed = false
        attempts.removeAll { attempt in
            let error = apus_socket_error(attempt.descriptor)
            if error != 0 {
                lastError = error
                hasFailed = true
                attempt.close()
                return true
            }
            guard won == nil, apus_is_connected(attempt.descriptor) != 0 else { return false }
            won = attempt
            return true
        }
        if let won {
            closeAll()
            return Winner(descriptor: won.descriptor, address: won.address, poll: won.poll.take())
        }
        if hasFailed { startNext() }
        return nil
    }

    func onTimer(_ tag: UInt32) {
        startNext()
        if isLost { stream.raceLost() }
    }

    /// Gives up every attempt. The stream is closed, or has its socket.
    func closeAll() {
        if !timer.isNone { loop.timers.free(&timer) }
        for attempt in attempts { attempt.close() }
        attempts = []
        rest = []
    }
}
