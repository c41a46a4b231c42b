// SPDX-License-Identifier: Apache-2.0
import CCares
import Glibc
package import MeshIO

/// The resolver of one loop, over c-ares: its sockets are polled by the loop, its timeouts are a timer of the loop.
///
/// Invariants:
/// - callbacks of c-ares only take notes: what follows from them, above all new questions, waits for the end of the turn,
///   because c-ares must not be entered from its own callbacks;
/// - a `Lookup` is retained by c-ares from a question until its callback, which always comes.
package final class CaresResolver: Resolver, TimerTarget, EndOfTurn {
    /// One call of `resolve`.
    private final class Lookup {
        let name: String
        let family: LookupFamily
        /// Nil once the answer was given, or nobody wants it.
        var then: ((LookupAnswer) -> Void)?
        unowned(unsafe) let resolver: CaresResolver
        /// The next family to ask for, when the first has no addresses.
        var second: Int32?
        var found: [ResolvedAddress] = []
        /// One of the questions was answered, if only by "no such name".
        var isAnswered = false

        init(_ name: String, _ family: LookupFamily, _ resolver: CaresResolver, then: @escaping (LookupAnswer) -> Void) {
            self.name = name
            self.family = family
            self.resolver = resolver
            self.then = then
        }
    }

    private let loop: UVLoop
    private let options: ResolverOptions
    private let observe: (ResolverEvent) -> Void
    /// Nil when c-ares could not start; every lookup fails then.
    private var channel: ares_channel?
    private var timer = TimerID.none
    private var polls: [Int32: PollHandle] = [:]
    /// Lookups one of whose questions has ended in this turn.
    private var ended: [Lookup] = []
    /// No server took the question: the servers may have changed, so the channel reads them anew once nothing is asked.
    private var isDirty = false
    private var openQuestions = 0
    private var isStopped = false

    /// - Parameter observe: called for what happens, on the loop; must not call the resolver.
    package init(loop: UVLoop, options: ResolverOptions, observe: @escaping (ResolverEvent) -> Void = { _ in }) {
        self.loop = loop
        self.options = options
        self.observe = observe
        timer = loop.timers.make(target: self)
        open()
    }

    deinit { assert(isStopped, "CaresResolver.stop was not called") }

    private func open() {
        var settings = ares_options()
        var mask = Int32(ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_FLAGS)
        settings.sock_state_cb = { context, descriptor, isReadable, isWritable in
            guard let context else { return }
            Unmanaged<CaresResolver>.fromOpaque(context)._withUnsafeGuaranteedRef {
                $0.watch(descriptor, readable: isReadable != 0, writable: isWritable != 0)
            }
        }
        settings.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
        settings.timeout = Int32(clamping: UInt64(options.queryTimeoutSeconds) * 1_000)
        settings.tries = Int32(clamping: options.queryTries)
        if options.usesTCP { settings.flags |= ARES_FLAG_USEVC }
        if options.ignoresSearchDomains { settings.flags |= ARES_FLAG_NOSEARCH }
        if options.rotatesServers { mask |= Int32(ARES_OPT_ROTATE) }
        var made: ares_channel?
        guard ares_init_options(&made, &settings, mask) == ARES_SUCCESS, let made else { return }
        channel = made
        guard !options.servers.isEmpty else { return }
        let list = options.servers.map { $0.port == 0 ? $0.withPort(53).description : $0.description }
        _ = ares_set_servers_ports_csv(made, list.joined(separator: ","))
    }

    // MARK: Asking

    package func resolve(_ name: String, _ family: LookupFamily, then: @escaping (LookupAnswer) -> Void) {
        loop.assertOnLoop()
        let lookup = Lookup(name, family, self, then: then)
        switch family {
        case .auto:
            lookup.second = AF_INET
            ask(AF_INET6, for: lookup)
        case .ipv4Preferred:
            lookup.second = AF_INET6
            ask(AF_INET, for: lookup)
        case .ipv4Only: ask(AF_INET, for: lookup)
        case .ipv6Only: ask(AF_INET6, for: lookup)
        case .all: ask(AF_UNSPEC, for: lookup)
        }
    }

    private func ask(_ family: Int32, for lookup: Lookup) {
        observe(.asked)
        openQuestions += 1
        guard let channel else {
            observe(.failed)
            finish(lookup)
            return
        }
        var hints = ares_addrinfo_hints()
        hints.ai_family = family
        // Sorting would connect to the addresses to learn which are near.
        hints.ai_flags = Int32(ARES_AI_NOSORT)
        ares_getaddrinfo(channel, lookup.name, nil, &hints, { context, status, timeouts, result in
            guard let context else { return }
            let lookup = Unmanaged<Lookup>.fromOpaque(context).takeRetainedValue()
            lookup.resolver.took(lookup, status: status, timeouts: timeouts, result)
        }, Unmanaged.passRetained(lookup).toOpaque())
        armTimer()
    }

    private func reopen() {
        isDirty = false
        if let channel { ares_destroy(channel) }
        channel = nil
        open()
        observe(.madeAnew)
    }

    /// c-ares has answered one question.
    private func took(_ lookup: Lookup, status: Int32, timeouts: Int32, _ result: UnsafeMutablePointer<ares_addrinfo>?) {
        switch outcome(of: status) {
        case .success:
            lookup.isAnswered = true
            var node = result?.pointee.nodes
            while let current = node {
                if let address = Address(current.pointee.ai_addr, length: Int(current.pointee.ai_addrlen)) {
                    lookup.found.append(
                        ResolvedAddress(address.withPort(0), timeToLive: UInt32(clamping: current.pointee.ai_ttl)))
                }
                node = current.pointee.ai_next
            }
            ares_freeaddrinfo(result)
        case .notFound:
            lookup.isAnswered = true
            observe(.notFound)
        case .timeout: observe(.timedOut(Int(timeouts)))
        case .refused:
            isDirty = true
            observe(.failed)
        case .failure: observe(.failed)
        }
        finish(lookup)
    }

    private enum Status { case success, notFound, timeout, refused, failure }

    private func outcome(of status: Int32) -> Status {
        switch status {
        case ARES_SUCCESS: .success
        case ARES_ENODATA, ARES_ENOTFOUND: .notFound
        case ARES_ETIMEOUT: .timeout
        case ARES_ECONNREFUSED: .refused
        default: .failure
        }
    }

    // MARK: Answering

    private func finish(_ lookup: Lookup) {
        observe(.ended)
        openQuestions -= 1
        if ended.isEmpty { loop.atEndOfTurn(self) }
        ended.append(lookup)
    }

    package func onEndOfTurn() {
        let lookups = ended
        ended = []
        if isDirty, openQuestions == 0, !isStopped { reopen() }
        for lookup in lookups where !isStopped {
            if lookup.found.isEmpty, let family = lookup.second {
                lookup.second = nil
                ask(family, for: lookup)
                continue
            }
            let then = lookup.then
            lookup.then = nil
            then?(lookup.isAnswered ? .addresses(lookup.found) : .failed)
        }
    }

    package func stop() {
        guard !isStopped else { return }
        isStopped = true
        if let channel { ares_destroy(channel) }
        channel = nil
        for poll in polls.values { poll.closeHandle() }
        polls = [:]
        ended = []
        loop.timers.free(&timer)
    }

    // MARK: Sockets and time

    private func watch(_ descriptor: Int32, readable: Bool, writable: Bool) {
        guard readable || writable else {
            polls.removeValue(forKey: descriptor)?.closeHandle()
            return
        }
        if polls[descriptor] == nil {
            polls[descriptor] = PollHandle(loop: loop, descriptor: descriptor) { [unowned self] isReadable, isWritable in
                process(isReadable ? descriptor : ARES_SOCKET_BAD, isWritable ? descriptor : ARES_SOCKET_BAD)
            }
        }
        polls[descriptor]?.want(readable: readable, writable: writable)
    }

    private func process(_ readable: ares_socket_t, _ writable: ares_socket_t) {
        guard let channel else { return }
        ares_process_fd(channel, readable, writable)
        armTimer()
    }

    package func onTimer(_ tag: UInt32) { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD) }

    /// The timer fires when c-ares wants to look at what it waits for.
    private func armTimer() {
        guard let channel, !isStopped else { return }
        var room = timeval()
        guard let next = ares_timeout(channel, nil, &room) else {
            loop.timers.cancel(timer)
            return
        }
        let milliseconds = UInt64(max(next.pointee.tv_sec, 0)) * 1_000 + UInt64(max(next.pointee.tv_usec, 0)) / 1_000
        loop.timers.arm(timer, at: loop.now.advanced(byMilliseconds: milliseconds + 1))
    }
}

@available(*, unavailable) extension CaresResolver: Sendable {}
