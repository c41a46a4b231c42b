// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
package import MeshHTTP2
import MeshIO

/// What a session said, readable and comparable. Takes heads, bodies and trailers as a driver does.
package struct HTTP2Trace {
    /// One line a record, heads with their fields.
    package private(set) var lines: [String] = []
    /// Streams whose request head came, in order.
    package var keys: [HTTP2StreamKey] = []
    /// Body bytes by stream.
    package private(set) var bodies: [Int32: [UInt8]] = [:]
    /// The `closed` records.
    package private(set) var closed: [HTTP2Record] = []
    /// The connection's failure.
    package private(set) var failed: HTTP2Record?
    /// Body bytes are told to be consumed as they come.
    package var consumes = true

    package init() {}

    /// Reads every record of a session.
    package mutating func drain(_ session: HTTP2Session) {
        while let record = session.nextRecord() {
            let key = session.key(of: record)
            let id = session.streamID(key)
            let end = record.endStream ? " end" : ""
            switch record.kind {
            case .head where session.role == .server:
                var head = RequestHead()
                session.takeRequestHead(record, into: &head)
                lines.append("\(id) head\(end)\n\(head.trace)")
                keys.append(key)
            case .head, .informationalHead:
                var head = ResponseHead()
                session.takeResponseHead(record, into: &head)
                lines.append("\(id) \(record.kind)\(end)\n\(head.trace)")
            case .body:
                guard let slice = session.takeBody(record) else {
                    lines.append("\(id) body lost")
                    continue
                }
                bodies[id, default: []] += Array(slice.bytes)
                if consumes { session.consume(key, slice.count) }
                if record.endStream { lines.append("\(id) end") }
            case .trailers:
                var trailers = HeaderBlock()
                session.takeTrailers(record, into: &trailers)
                lines.append("\(id) trailers\(end)\n\(trailers.trace)")
            case .end: lines.append("\(id) end")
            case .closed:
                lines.append("\(id) closed \(record.first) \(record.failure)")
                closed.append(record)
            case .writable: lines.append("\(id) writable")
            case .goAway: lines.append("goaway \(Int32(bitPattern: record.first)) \(record.second)")
            case .settings: lines.append("settings")
            case .pingAcknowledged: lines.append("ping")
            case .connectionFailed:
                lines.append("failed \(session.failure) \(record.first)")
                failed = record
            }
        }
    }

    /// Lines without what every connection says.
    package var events: [String] { lines.filter { $0 != "settings" } }
}
