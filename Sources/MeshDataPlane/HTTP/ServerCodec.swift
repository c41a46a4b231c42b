// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// The HTTP version of a downstream connection: turns its input into streams and their messages into output.
///
/// The manager owns its codec and hands itself to every call that needs it, and streams belong to their worker: so nothing
/// on the way of a request is counted. A base class, because a call through a class costs less than one through a protocol.
class ServerCodec {
    /// Whether several streams are open at once, so that a stream does not wait for the one before it.
    var isMultiplexed: Bool { false }

    /// The connection begins; the codec may greet the client.
    func begin(_ manager: HTTPConnectionManager) {}

    // MARK: Input

    /// Reads what is in the input, as far as it may be read now.
    func receive(_ manager: HTTPConnectionManager) {}

    /// The client closed its sending side.
    func inputEnded(_ manager: HTTPConnectionManager) {}

    /// The transport is gone: streams in flight are told why.
    func transportLost() {}

    /// The connection is closed; streams in flight end without an answer.
    func connectionClosed(_ manager: HTTPConnectionManager, byClient: Bool) {}

    /// The head that is being received takes too long.
    func rejectCurrent(_ reply: LocalReply, _ manager: HTTPConnectionManager) {}

    /// The one request being received takes too long.
    func failCurrent(_ reply: LocalReply) {}

    // MARK: Output

    func sendInformational(_ stream: ActiveStream) {}
    /// Tells the client to go on with its body.
    func sendContinue(_ stream: ActiveStream) {}
    func sendHead(_ stream: ActiveStream, endStream: Bool) {}
    func sendBody(_ stream: ActiveStream, _ slice: consuming SlabSlice) {}
    func sendBody(_ stream: ActiveStream, copying bytes: UnsafeRawBufferPointer) {}
    /// The response is whole.
    func sendEnd(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {}
    /// The response cannot be completed.
    func reset(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {}

    /// Bytes the codec holds for a stream in either direction.
    func queuedBytes(_ stream: ActiveStream) -> Int { 0 }

    // MARK: Back-pressure

    /// The transport's queue is full, or has room again.
    func outputBackedUp() {}
    func outputDrained() {}
    /// Stops taking a request's body, and goes on.
    func pauseReading(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {}
    func resumeReading(_ stream: ActiveStream, _ manager: HTTPConnectionManager) {}

    // MARK: Ending

    /// Asks the client to open no more streams; the manager closes the connection when the last one is over.
    /// - Returns: whether the codec does so in its own time; false leaves it to the manager, after the stream in flight.
    func drain(_ manager: HTTPConnectionManager) -> Bool { false }
    /// `drain_timeout` has passed since.
    func drainTimedOut(_ manager: HTTPConnectionManager) {}
}

@available(*, unavailable) extension ServerCodec: Sendable {}
