// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
package import MeshIO

/// A listening socket on a loop.
///
/// Invariants:
/// - `reserve` is open except while it is being used to throw a connection away;
/// - polling goes on while neither the owner nor a lack of descriptors has paused it.
package final class UVListener: StreamListener, TimerTarget {
    private let loop: UVLoop
    private let socket: ListeningSocket
    private let acceptsPerWake: Int
    private var handler: ListenHandler?
    private var poll: SocketPoll?
    /// Given up when descriptors run out, so that the connection can be accepted and closed: left in the queue it would
    /// keep the socket readable and its client waiting.
    private var reserve: Int32
    private var isPaused = false
    private var isTurningAway = false
    private var retryTimer = TimerID.none

    /// How long accepting stops after the process ran out of descriptors. - Unit: milliseconds. Long enough not to spin,
    /// short against a client's connect timeout.
    private static let exhaustionPause: UInt64 = 100

    init(loop: UVLoop, socket: ListeningSocket, acceptsPerWake: Int, handler: ListenHandler) {
        self.loop = loop
        self.socket = socket
        self.acceptsPerWake = max(acceptsPerWake, 1)
        self.handler = handler
        reserve = apus_reserve_descriptor()
        super.init()
        // Accepted sockets inherit it, which saves a call for each.
        if socket.address.isIP { _ = apus_set_no_delay(socket.descriptor) }
        retryTimer = loop.timers.make(target: self)
        poll = SocketPoll(loop: loop, descriptor: socket.descriptor, owner: .listener(self))
        poll?.want(PollEvent.readable)
    }

    deinit { assert(retryTimer.isNone, "UVListener.close was not called") }

    override package func pause() {
        isPaused = true
        poll?.stop()
    }

    override package func resume() {
        isPaused = false
        if !loop.timers.isArmed(retryTimer) { poll?.want(PollEvent.readable) }
    }

    override package func stopHandshakes(siblings: Int) {
        guard poll != nil, !socket.isShared, !isTurningAway else { return }
        isTurningAway = true
        // First the clients are led to the process that takes over, if there is one: those whose SYN is dropped lose a
        // second. Ours are the first of the group, for they listen longest; where that is wrong the kernel's choice may
        // still fall on us, and then the client loses that second.
        let all = ListenTable.count(socket.address)
        if all > siblings { _ = apus_steer_away(socket.descriptor, UInt32(siblings), UInt32(all - siblings)) }
        _ = apus_stop_handshakes(socket.descriptor)
    }

    override package func close() {
        // What the kernel has completed belongs to us; closing the socket would reset it. A shared queue stays with
        // the other workers.
        if poll != nil, !socket.isShared {
            _ = apus_stop_handshakes(socket.descriptor)
            accept(limit: .max)
            // The group outlives us.
            if isTurningAway { _ = apus_stop_steering(socket.descriptor) }
        }
        closeHandle()
    }

    func closeHandle() {
        guard let poll = poll.take() else { return }
        poll.close(isShared: socket.isShared)
        apus_close(socket.descriptor)
        if reserve >= 0 { apus_close(reserve) }
        reserve = -1
        loop.timers.free(&retryTimer)
        handler = nil
    }

    func onReady() {
        guard poll != nil, !isPaused else { return }
        accept(limit: acceptsPerWake)
    }

    package func onTimer(_ tag: UInt32) {
        if !isPaused { poll?.want(PollEvent.readable) }
    }

    private func accept(limit: Int) {
        var accepted = 0
        var storage = sockaddr_storage()
        var length = socklen_t()
        while accepted < limit, let handler, !isPaused || limit == .max {
            let descriptor = apus_accept(socket.descriptor, &storage, &length)
            guard descriptor >= 0 else {
                switch -descriptor {
                case EAGAIN: return
                case EMFILE, ENFILE:
                    onDescriptorsExhausted()
                    return
                case ENOBUFS, ENOMEM:
                    waitForBetterTimes()
                    return
                // The connection died in the queue, or a network error is reported through accept: take the next one.
                default: accepted += 1
                }
                continue
            }
            accepted += 1
            let remote = Address(&storage, length: Int(length)) ?? socket.address
            handler.onAccept(UVStream(
                loop: loop, descriptor: descriptor, localAddress: localAddress(of: descriptor), remoteAddress: remote))
        }
    }

    /// A socket bound to one address needs no question to the kernel, unless connections are redirected to it without
    /// changing their destination (TPROXY), in which case it is bound to the wildcard or transparent.
    private func localAddress(of descriptor: Int32) -> Address {
        guard socket.address.isIP, socket.address.isWildcard || socket.isTransparent else { return socket.address }
        return OutgoingSocket.localName(descriptor) ?? socket.address
    }

    private func onDescriptorsExhausted() {
        if reserve >= 0 {
            apus_close(reserve)
            reserve = -1
            var storage = sockaddr_storage()
            var length = socklen_t()
            let descriptor = apus_accept(socket.descriptor, &storage, &length)
            if descriptor >= 0 { apus_close(descriptor) }
        }
        // Another thread may have taken the free number; it is tried again next time.
        reserve = apus_reserve_descriptor()
        waitForBetterTimes()
        handler?.onDescriptorsExhausted()
    }

    private func waitForBetterTimes() {
        guard poll != nil else { return }
        poll?.stop()
        loop.timers.arm(retryTimer, at: loop.now.advanced(byMilliseconds: UVListener.exhaustionPause))
    }
}

@available(*, unavailable) extension UVListener: Sendable {}
