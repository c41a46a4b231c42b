// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshStats

/// A connection in its listener filters: what it is for is not known yet.
///
/// The filters look at the received bytes in order, each beginning where the one before left off; only a PROXY header is
/// consumed. Then the connection may be handed to the listener of its original destination, whose filters begin anew, and
/// at last a terminal takes the stream over.
///
/// Invariants:
/// - `finish` or `end` takes effect exactly once, and both take the connection out of `downstream_pre_cx_active`;
/// - the bytes held are bounded by what the filters may ask for (64 KiB and a PROXY header) and one read.
package final class AcceptedConnection: DownstreamConnection, TimerTarget, EndOfTurn {
    private let stream: ByteStream
    private var facts: ConnectionFacts
    private let account: ConnectionAccount
    /// Position of the filter at work.
    private var position = 0
    private var inspector = HTTPInspector()
    /// Made at the first look of the filter at work; nil for other filters.
    private var tlsInspector: TLSInspector?
    private var timer = TimerID.none
    /// Only the listener that accepted a connection hands it on.
    private var mayHandOff: Bool
    private var isReading = false
    private var isOver = false

    private enum Step { case wait, next, close }

    init(stream: ByteStream, facts: ConnectionFacts, account: ConnectionAccount) {
        self.stream = stream
        self.facts = facts
        self.account = account
        mayHandOff = account.listener.compiled.listener.useOriginalDestination
        super.init()
    }

    private var listener: ActiveListener { account.listener }
    private var worker: Worker { account.listener.worker }

    // MARK: Life

    func begin() {
        worker.connections.insert(self)
        worker.stats.increment(listener.compiled.stats.preConnectionsActive)
        run()
    }

    /// Runs filters until one has to wait or all have finished.
    private func run() {
        while position < listener.filters.count {
            switch step(listener.filters[position]) {
            case .next:
                position += 1
                tlsInspector = nil
            case .wait:
                wait()
                return
            case .close:
                end()
                return
            }
            if position == listener.filters.count, let target = handOffTarget, !handOff(to: target) { return }
        }
        finish()
    }

    private func wait() {
        guard !isReading else { return }
        isReading = true
        armTimer()
        stream.start(handler: self)
    }

    private func armTimer() {
        let timeout = listener.compiled.filtersTimeout
        guard timeout > 0 else {
            worker.loop.timers.cancel(timer)
            return
        }
        if timer.isNone { timer = worker.loop.timers.make(target: self) }
        worker.loop.timers.arm(timer, at: worker.loop.now.advanced(byNanoseconds: timeout))
    }

    /// Every filter is content, or time is up: on to the filter chain.
    private func finish() {
        leave()
        // The stream may be in the middle of calling us, and does not retain its handler.
        worker.loop.atEndOfTurn(self)
        listener.serve(stream, facts, account: account, replacing: self)
    }

    /// Closes the connection before it ever got a filter chain.
    private func end() {
        guard !isOver else { return }
        leave()
        stream.close()
        account.end(self)
    }

    private func leave() {
        isOver = true
        worker.loop.timers.free(&timer)
        worker.stats.decrement(listener.compiled.stats.preConnectionsActive)
    }

    func onEndOfTurn() {}

    override func closeNow() { end() }

    // MARK: Hand-off

    /// The listener of the restored destination, if that is another one.
    private var handOffTarget: ActiveListener? {
        guard mayHandOff, facts.isLocalAddressRestored,
            let target = worker.listenersByAddress.find(facts.localAddress), target !== listener
        else { return nil }
        return target
    }

    /// Puts the connection under the filters, limits and stats of `target`. False when its limit closed the connection.
    private func handOff(to target: ActiveListener) -> Bool {
        mayHandOff = false
        let origin = listener
        guard account.move(to: target) else {
            end()
            return false
        }
        worker.stats.decrement(origin.compiled.stats.preConnectionsActive)
        worker.stats.increment(target.compiled.stats.preConnectionsActive)
        position = 0
        inspector = HTTPInspector()
        tlsInspector = nil
        if isReading { armTimer() }
        return true
    }

    // MARK: Filters

    private func step(_ filter: ListenerFilterConfig) -> Step {
        if let disabled = filter.disabled, disabled.holds(port: facts.localAddress.port) { return .next }
        switch filter.kind {
        case .httpInspector: return inspect()
        case .tlsInspector(let options): return inspectTLS(options)
        case .proxyProtocol(let options): return readProxyHeader(ProxyProtocolParser(options: options))
        case .originalDestination:
            restoreDestination()
            return .next
        // The configuration compiler refuses what it does not know.
        case .other: return .next
        }
    }

    private func inspect() -> Step {
        // Inside TLS there is nothing to see.
        guard facts.transportProtocol == .rawBuffer else { return .next }
        let stats = listener.compiled.filterStats.httpInspector
        switch inspector.inspect(stream.input.readable) {
        case .needMore: return .wait
        case .found(let version):
            facts.applicationProtocols = version.applicationProtocols
            guard let stats else { return .next }
            switch version {
            case .http10: worker.stats.add(stats.http10Found)
            case .http11: worker.stats.add(stats.http11Found)
            case .h2c: worker.stats.add(stats.http2Found)
            }
        case .notHTTP:
            if let stats { worker.stats.add(stats.httpNotFound) }
        }
        return .next
    }

    private func inspectTLS(_ options: TLSInspectorOptions) -> Step {
        let stats = listener.compiled.filterStats.tlsInspector
        var inspector = tlsInspector ?? TLSInspector(maxBytes: Int(options.maxClientHelloBytes))
        let verdict = inspector.inspect(stream.input.readable)
        tlsInspector = inspector
        switch verdict {
        case .needMore: return .wait
        case .found(let hello):
            facts.transportProtocol = .tls
            facts.serverName = hello.serverName
            let offersProtocols = !hello.applicationProtocols.isEmpty
            if offersProtocols { facts.applicationProtocols = hello.applicationProtocols }
            guard let stats else { return .next }
            worker.stats.add(stats.tlsFound)
            worker.stats.add(hello.serverName.isEmpty ? stats.sniNotFound : stats.sniFound)
            worker.stats.add(offersProtocols ? stats.alpnFound : stats.alpnNotFound)
            return .next
        case .notTLS:
            if options.closesOnParsingErrors { return .close }
            if let stats { worker.stats.add(stats.tlsNotFound) }
            return .next
        case .tooLarge:
            // Unlike other filters, this one's closing is no `downstream_listener_filter_error` for Envoy.
            if let stats { worker.stats.add(stats.clientHelloTooLarge) }
            return .close
        }
    }

    private func readProxyHeader(_ parser: ProxyProtocolParser) -> Step {
        let declared = listener.compiled.filterStats.proxyProtocol
        let stats = position < declared.count ? declared[position] : nil
        switch parser.parse(stream.input.readable) {
        case .needMore: return .wait
        case .noHeader:
            if let stats { worker.stats.add(stats.notFoundAllowed) }
            return .next
        case .header(let version, let length, let addresses):
            stream.input.consume(length)
            if let addresses {
                facts.remoteAddress = addresses.source
                if facts.localAddress != addresses.destination {
                    facts.localAddress = addresses.destination
                    facts.isLocalAddressRestored = true
                }
            }
            if let stats { worker.stats.add((version == .one ? stats.v1 : stats.v2).found) }
            return .next
        case .failed(let failure):
            worker.stats.add(listener.compiled.stats.listenerFilterError)
            guard let stats else { return .close }
            switch failure {
            case .missing: worker.stats.add(stats.notFoundDisallowed)
            case .disallowed(let version): worker.stats.add((version == .one ? stats.v1 : stats.v2).disallowed)
            case .malformed(let version): worker.stats.add((version == .one ? stats.v1 : stats.v2).error)
            }
            return .close
        }
    }

    /// `envoy.filters.listener.original_dst`: the destination from before a redirect, or with TPROXY the address the
    /// connection was accepted on.
    private func restoreDestination() {
        guard let original = OriginalDestination.find(stream, isTransparent: listener.compiled.listener.transparent == true)
        else { return }
        facts.localAddress = original
        facts.isLocalAddressRestored = true
    }

    // MARK: Events

    override func onInput(_ stream: ByteStream) {
        guard !isOver else { return }
        run()
    }

    override func onEndOfInput(_ stream: ByteStream) {
        guard !isOver else { return }
        worker.stats.add(listener.compiled.stats.listenerFilterRemoteClose)
        end()
    }

    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {
        guard !isOver else { return }
        worker.stats.add(listener.compiled.stats.listenerFilterRemoteClose)
        end()
    }

    /// The filters took too long.
    func onTimer(_ tag: UInt32) {
        guard !isOver else { return }
        worker.stats.add(listener.compiled.stats.preConnectionsTimeout)
        if listener.compiled.listener.continueOnListenerFiltersTimeout {
            finish()
        } else {
            end()
        }
    }
}

@available(*, unavailable) extension AcceptedConnection: Sendable {}

/// The destination a client meant before its connection was redirected here.
enum OriginalDestination {
    /// - Returns: nil where the connection came as it was meant, or nothing is known of a redirect.
    static func find(_ stream: ByteStream, isTransparent: Bool) -> Address? {
        if let redirected = stream.originalDestination() { return redirected }
        return isTransparent && stream.localAddress.isIP ? stream.localAddress : nil
    }
}
