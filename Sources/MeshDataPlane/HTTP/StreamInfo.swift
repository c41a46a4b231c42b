// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
package import MeshIO
package import MeshModel
import MeshStats

/// What happened on one stream, in the vocabulary of access logs. A field that was never set prints as `-`.
package struct StreamInfo {
    /// When the head was complete.
    package var start = MonotonicInstant(nanoseconds: 0)
    /// Wall clock of `start`, nanoseconds since 1970.
    package var startWallClock: UInt64 = 0
    package var version: HTTPVersion? = nil
    /// Body bytes received from and sent to the client.
    package var receivedBodyBytes: UInt64 = 0
    package var sentBodyBytes: UInt64 = 0
    /// 0 until a response head is decided.
    package var status: UInt16 = 0
    package var flags: ResponseFlags = []
    package var details: StaticString? = nil
    /// Whether an upstream's response was forwarded, and whole.
    var isAnsweredByUpstream: Bool { details.map { UnsafeRawBufferPointer($0).equals("via_upstream") } ?? false }
    package var connectionDetails: StaticString? = nil
    package var upstreamAddress: Address? = nil
    package var upstreamLocalAddress: Address? = nil
    /// Why the upstream connection could not be made (errno); 0 when it could, or timed out.
    package var connectErrno: Int32 = 0
    /// Upstream attempts made.
    package var attempts: UInt32 = 0

    /// When the last request byte arrived, the request head left, the first and the last response byte arrived.
    @InstantOrZero package var requestEnd: MonotonicInstant?
    @InstantOrZero package var upstreamHeadSent: MonotonicInstant?
    @InstantOrZero package var upstreamFirstByte: MonotonicInstant?
    @InstantOrZero package var upstreamLastByte: MonotonicInstant?
    /// What the connection to the upstream speaks.
    package var upstreamVersion: HTTPVersion? = nil

    /// Which record is written now.
    package var logType = AccessLogType.notSet
    /// The connection to the upstream: its number; when it was begun, made, and its handshake done. Zeros without one.
    package var upstreamConnectionID: UInt64 = 0
    package var upstreamConnectBegin = MonotonicInstant(nanoseconds: 0)
    package var upstreamConnectEnd = MonotonicInstant(nanoseconds: 0)
    /// When a connection was asked for, and when the head of the response went to the client. Zeros before.
    package var upstreamAsked = MonotonicInstant(nanoseconds: 0)
    package var downstreamSendBegin = MonotonicInstant(nanoseconds: 0)
    /// What the client's connection had received and been given when this stream began (HTTP/1).
    package var wireReceivedBefore: UInt64 = 0
    package var wireSentBefore: UInt64 = 0
    /// Bytes on the wire to upstreams and back, of all attempts (HTTP/1).
    package var upstreamWireSent: UInt64 = 0
    package var upstreamWireReceived: UInt64 = 0
    /// Whether a log asks for `heads`.
    package var countsHeads = false
    package var heads = HeadBytes()
    /// How the connection of the last attempt stood when it was lost; nil when it was not.
    package var lostConnection: LostConnection?

    /// What the endpoint is called, and its metadata, where it has either; retained by hand as below.
    private var upstreamHost: Unmanaged<HostFacts>?

    /// What the handshake with the upstream ended with; retained by hand, so that plain streams count nothing.
    private var upstreamSession: Unmanaged<ConnectionTLS>?

    package init() {}

    /// Nil where the upstream is plain or there was none.
    package var upstreamTLS: ConnectionTLS? { upstreamSession?.takeUnretainedValue() }

    package mutating func setUpstreamTLS(_ tls: ConnectionTLS) {
        upstreamSession?.release()
        upstreamSession = Unmanaged.passRetained(tls)
    }

    /// Another attempt begins: what is said of the upstream is said of that one.
    package mutating func forgetAttempt() {
        if let upstreamSession { upstreamSession.release() }
        upstreamSession = nil
        upstreamAddress = nil
        upstreamLocalAddress = nil
        upstreamVersion = nil
        upstreamHeadSent = nil
        connectErrno = 0
        upstreamHost?.release()
        upstreamHost = nil
        upstreamConnectionID = 0
        upstreamConnectBegin = MonotonicInstant(nanoseconds: 0)
        upstreamConnectEnd = upstreamConnectBegin
        lostConnection = nil
    }

    /// Nil where the endpoint has neither a name nor metadata, or there was none.
    var upstreamHostFacts: HostFacts? { upstreamHost?.takeUnretainedValue() }

    mutating func setUpstreamHost(_ facts: HostFacts?) {
        guard facts != nil || upstreamHost != nil else { return }
        upstreamHost?.release()
        upstreamHost = facts.map { Unmanaged.passRetained($0) }
    }

    /// Ready for the next stream.
    package mutating func reset() {
        if let upstreamHost { upstreamHost.release() }
        if let upstreamSession { upstreamSession.release() }
        self = StreamInfo()
    }
}

/// Bytes of header fields and trailers on HTTP/1 connections, as Envoy counts them: of a field that was received the name, the
/// value and 3, of one that was sent its whole line.
package struct HeadBytes: Equatable, Sendable {
    package var downstreamReceived: UInt32 = 0
    package var downstreamSent: UInt32 = 0
    /// Of all attempts, as below.
    package var upstreamReceived: UInt32 = 0
    package var upstreamSent: UInt32 = 0
    /// Envoy adds what was received so far with every head, which counts an interim response twice, and no trailers.
    package var upstreamDecompressed: UInt32 = 0
    package var downstreamDecompressed: UInt32 = 0

    package mutating func received(fromUpstream bytes: UInt64) {
        upstreamReceived &+= UInt32(truncatingIfNeeded: bytes)
        upstreamDecompressed &+= upstreamReceived
    }

    package mutating func received(fromDownstream bytes: UInt64) {
        downstreamReceived = UInt32(truncatingIfNeeded: bytes)
        downstreamDecompressed = downstreamReceived
    }
}

/// An instant that may not have come, in 8 bytes and not 16: thousands of streams wait at a time. The clock's zero, the start of
/// the machine, stands for none.
@propertyWrapper package struct InstantOrZero {
    private var nanoseconds: UInt64 = 0

    package init() {}

    package var wrappedValue: MonotonicInstant? {
        get { nanoseconds == 0 ? nil : MonotonicInstant(nanoseconds: nanoseconds) }
        set { nanoseconds = newValue?.nanoseconds ?? 0 }
    }
}

/// What an endpoint is called, for logs. Made for endpoints that have a name or metadata, and only then.
final class HostFacts: Sendable {
    let name: ConstantBytes
    let metadata: MetadataTable

    init?(_ endpoint: Endpoint) {
        guard !endpoint.hostname.isEmpty || !endpoint.metadata.isEmpty else { return nil }
        name = ConstantBytes(endpoint.hostname)
        metadata = endpoint.metadata
    }
}

/// An upstream connection that ended with a request on it.
package struct LostConnection: Equatable, Sendable {
    /// How long it had been open. - Unit: milliseconds.
    package var ageMilliseconds: UInt64
    /// Requests it had been given, this one included.
    package var requests: UInt32
    /// Bytes of this request that the kernel had taken; of a connection that is shared, -1 where that is not known.
    package var sentBytes: Int64

    package init(ageMilliseconds: UInt64, requests: UInt32, sentBytes: Int64) {
        self.ageMilliseconds = ageMilliseconds
        self.requests = requests
        self.sentBytes = sentBytes
    }
}
