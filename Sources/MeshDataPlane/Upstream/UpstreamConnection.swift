// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// A connection to an upstream endpoint that requests are sent on, whatever HTTP it speaks.
///
/// A base class for the reasons of `ServerCodec`. Its pool keeps it alive; requests refer to it uncounted and are told
/// before it ends.
class UpstreamConnection: StreamHandler {
    let pool: ConnectionPool
    /// The endpoint's address when it was made, as logs say it: it may change later (LOGICAL_DNS).
    let address: Address
    /// Place in the pool's list; -1 when it was removed.
    var place = -1
    /// Our end of the connection; nil before there is one.
    var localAddress: Address? { nil }

    /// What the handshake ended with; nil on a plain connection. Set by `onConnected`.
    final var tls: ConnectionTLS?
    /// For logs: its number, when it was begun, and when it was there; what it was given.
    final let number = ConnectionNumber.next()
    final let begun: MonotonicInstant
    final var connected = MonotonicInstant(nanoseconds: 0)
    final var requestsServed: UInt32 = 0

    init(pool: ConnectionPool) {
        self.pool = pool
        address = pool.address
        begun = pool.cluster.loop.now
        super.init()
    }

    /// A TLS session failed, while connecting or later.
    final func tlsFailure(_ stream: ByteStream, wasConnecting: Bool) -> UpstreamFailure {
        let reason = pool.cluster.tlsFailed(stream)
        return wasConnecting ? .connectFailure(reason) : .connectionTermination
    }

    /// Opens the connection; the pool hears of the result.
    func connect() {}

    /// What logs print of the connection.
    final func describe(to info: inout StreamInfo) {
        info.upstreamConnectionID = number
        info.upstreamConnectBegin = begun
        info.upstreamConnectEnd = connected
        info.setUpstreamHost(pool.endpoint.facts)
    }

    /// How the connection stands, now that `request` has lost it.
    func lost(_ request: UpstreamRequest) -> LostConnection {
        LostConnection(
            ageMilliseconds: pool.cluster.loop.now.nanoseconds(since: begun) / 1_000_000, requests: requestsServed,
            sentBytes: -1)
    }

    // MARK: Requests

    /// Sends the head of `request`; with `isWhole` nothing follows it.
    /// - Returns: false when the connection cannot take it after all; the request is still the caller's then.
    func sendHead(_ request: UpstreamRequest, _ stream: ActiveStream, isWhole: Bool) -> Bool { false }
    func sendBody(_ request: UpstreamRequest, _ stream: ActiveStream, _ slice: consuming SlabSlice) {}
    func sendEnd(_ request: UpstreamRequest, _ stream: ActiveStream) {}
    /// Sends bytes of a request that were framed for another connection of the pool.
    func sendAgain(_ slice: consuming SlabSlice) {}

    /// Stops reading the response, and goes on.
    func pauseReading(_ request: UpstreamRequest) {}
    func resumeReading(_ request: UpstreamRequest) {}

    /// Bytes of the request that the upstream has not taken yet.
    func queuedBytes(_ request: UpstreamRequest) -> Int { 0 }

    /// The request is over before its response was.
    func abandon(_ request: UpstreamRequest) {}

    // MARK: Ending

    /// Closes a connection that serves nothing.
    func closeIdle() {}
    /// Closes the connection whatever it does; its requests fail.
    func closeNow() {}
}

@available(*, unavailable) extension UpstreamConnection: Sendable {}
