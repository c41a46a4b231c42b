// SPDX-License-Identifier: Apache-2.0

/// What the test server does with the bytes of a TCP client.
public enum TCPAnswer: String, Sendable, CaseIterable {
    /// Sends them back (RFC 862).
    case echo
    /// Takes them and says nothing (RFC 863).
    case discard
    /// Sends without being asked, as fast as the client reads (RFC 864), and takes what comes.
    case source
}

/// How the test server answers, so that a load tester can be held against known truth.
public struct ServedBehaviour: Equatable, Sendable {
    /// Body bytes of an answer; a request overrides it with `?size=`. What is echoed has the size it had.
    public var size = 0
    /// Wait before an answer, be it an echo. - Unit: nanoseconds. A request overrides it with `?delay=` in milliseconds, for a
    /// WebSocket the one that asked for it.
    public var delay: UInt64 = 0
    /// Every so often the server stops answering; 0 for never. - Unit: nanoseconds.
    public var stallPeriod: UInt64 = 0
    /// For so long. - Unit: nanoseconds.
    public var stallLength: UInt64 = 0
    /// Share of answers that are 503 (gRPC: status 14). Of a WebSocket's messages it is the share that is answered by a close
    /// with 1011 (RFC 6455 §7.4.1), of TCP connections the share that ends at its first byte.
    public var errorShare = 0.0
    /// For a server of raw TCP.
    public var tcpAnswer = TCPAnswer.echo

    public init() {}

    /// Says what cannot be.
    public func check(speaksTCP: Bool) throws(ScenarioError) {
        guard (0...1).contains(errorShare) else { throw ScenarioError("errors: found \(errorShare); allowed: 0 to 1") }
        guard (0...ServedAnswer.maxSize).contains(size) else {
            throw ScenarioError("size: found \(size); allowed: 0 to \(ServedAnswer.maxSize)")
        }
        if stallLength > 0, stallPeriod <= stallLength {
            throw ScenarioError("stall-every: found \(DurationText.text(stallPeriod)); allowed: more than --stall, \(DurationText.text(stallLength))")
        }
        guard speaksTCP else { return }
        if size > 0 { throw ScenarioError("size: found \(size) with --tcp; allowed: 0, for an echo is as long as what came") }
        if tcpAnswer != .echo, delay > 0 || stallLength > 0 {
            throw ScenarioError("delay and stall: found with --tcp-answer \(tcpAnswer.rawValue); allowed: with echo, the others answer nothing")
        }
    }

    /// Whether an answer can have to wait. - Parameter delay: nanoseconds.
    func waits(delay: UInt64) -> Bool { delay > 0 || stallPeriod > 0 }

    /// When an answer to a request that came at `now` goes out. A stall begins each time a period is over.
    /// - Parameters: nanoseconds on one clock; `epoch` is when the server started.
    func due(at now: UInt64, epoch: UInt64, delay: UInt64) -> UInt64 {
        let due = now + delay
        guard stallPeriod > 0, due >= epoch + stallPeriod else { return due }
        let phase = (due - epoch) % stallPeriod
        return phase < stallLength ? due + (stallLength - phase) : due
    }
}

/// What one request asks of the server.
struct ServedAnswer: Equatable {
    var status: UInt16 = 200
    var size: Int
    var delay: UInt64
    /// gRPC: messages of an answer that streams.
    var messages = 1

    /// Most bytes an answer may be asked to have, and most messages.
    static let maxSize = 1 << 30
    static let maxMessages = 1_000_000

    /// Reads `?size=`, `?delay=` (milliseconds), `?status=` and `?messages=` of a path; whatever else stands there is ignored.
    init(path: UnsafeRawBufferPointer, _ behaviour: ServedBehaviour) {
        size = behaviour.size
        delay = behaviour.delay
        guard let mark = path.firstIndex(of: UInt8(ascii: "?")) else { return }
        for pair in path[(mark + 1)...].split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1)
            guard parts.count == 2, let number = Int(String(decoding: parts[1], as: UTF8.self)), number >= 0 else { continue }
            switch String(decoding: parts[0], as: UTF8.self) {
            case "size": size = min(number, ServedAnswer.maxSize)
            case "delay": delay = UInt64(min(number, 3_600_000)) * 1_000_000
            case "status": if (200...599).contains(number) { status = UInt16(number) }
            case "messages": messages = min(number, ServedAnswer.maxMessages)
            default: break
            }
        }
    }
}

/// Which gRPC method is called, by the last part of its path.
enum ServedMethod: Equatable {
    /// Every message comes back: unary or bidirectional.
    case echo
    /// One message when the client's are over.
    case collect
    /// Messages when the client's are over.
    case repeated

    init(path: UnsafeRawBufferPointer) {
        let end = path.firstIndex(of: UInt8(ascii: "?")) ?? path.endIndex
        let start = path[..<end].lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? path.startIndex
        let name = path[start..<end]
        self = name.elementsEqual("Collect".utf8) ? .collect : name.elementsEqual("Repeat".utf8) ? .repeated : .echo
    }
}
