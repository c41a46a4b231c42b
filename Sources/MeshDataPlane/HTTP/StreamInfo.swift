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
    package var connectionDetails: StaticString? = nil
    package var upstreamAddress: Address? = nil
    package var upstreamLocalAddress: Address? = nil
    /// Why the upstream connection could not be made (errno); 0 when it could, or timed out.
    package var connectErrno: Int32 = 0
    /// Upstream attempts made.
    package var attempts: UInt32 = 0

    /// When the last request byte arrived, the request head left, the first and the last response byte arrived.
    package var requestEnd: MonotonicInstant? = nil
    package var upstreamHeadSent: MonotonicInstant? = nil
    /// What the connection to the upstream speaks.
    package var upstreamVersion: HTTPVersion? = nil
    package var upstreamFirstByte: MonotonicInstant? = nil
    package var upstreamLastByte: MonotonicInstant? = nil

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
    }

    /// Ready for the next stream.
    package mutating func reset() {
        if let upstreamSession { upstreamSession.release() }
        self = StreamInfo()
    }
}
