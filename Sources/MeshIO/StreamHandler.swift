// SPDX-License-Identifier: Apache-2.0

/// Why a stream ended without its owner asking for it.
public enum StreamCloseReason: Equatable, Sendable {
    /// The connection could not be made (refused, unreachable, bad address). - Parameter: errno.
    case connectFailed(Int32)
    /// The peer reset the connection, or writing found it gone. - Parameter: errno.
    case reset(Int32)
    /// The TLS session failed: its handshake, a record, or the peer's alert. `TLSStream.failure` says more.
    case tlsFailed
}

/// What a `ByteStream` reports to its owner. A base class, so that the stream can call it without reference counting.
///
/// Every method does nothing here; override what matters. All calls come on the loop's thread, never from inside a
/// method the owner is calling on the stream, except `onAboveHighWatermark`, which follows the write that crossed it.
open class StreamHandler {
    package init() {}

    /// The connection is made; bytes may flow. Only for streams made by `EventLoop.connect`.
    open func onConnected(_ stream: ByteStream) {}

    /// `stream.input` has bytes. Consume what can be used; the rest stays and more is appended behind it.
    open func onInput(_ stream: ByteStream) {}

    /// The peer closed its sending side (FIN). Bytes may still be pending in `stream.input`; writing still works.
    open func onEndOfInput(_ stream: ByteStream) {}

    /// Pinned output bytes rose above the high watermark: stop producing.
    open func onAboveHighWatermark(_ stream: ByteStream) {}

    /// Pinned output bytes fell to the low watermark: produce again.
    open func onBelowLowWatermark(_ stream: ByteStream) {}

    /// Everything written so far has been accepted by the kernel. Only reported while `stream.reportsDrained` is set.
    open func onDrained(_ stream: ByteStream) {}

    /// The stream ended through no call of the owner's; it is closed already. Called at most once, and last.
    open func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) {}
}

/// What a listening socket reports to its owner.
open class ListenHandler {
    package init() {}

    /// A connection was accepted. The stream reads only after `start(handler:)`.
    open func onAccept(_ stream: ByteStream) {}

    /// The process ran out of descriptors; the listener closed the connection with its reserve descriptor and pauses.
    open func onDescriptorsExhausted() {}
}
