// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A request to admin or to the demo's upstream, as text: neither is on the path of traffic.
package struct LocalRequest: Equatable, Sendable {
    package var method: String
    /// The target's path, percent-decoded.
    package var path: String
    /// Parameters in order, percent-decoded; a name without `=` has an empty value.
    package var parameters: [(name: String, value: String)] = []
    /// Field names in lower case.
    package var headers: [(name: String, value: String)] = []
    package var body: [UInt8] = []
    /// `HTTP/1.0` closes after the answer.
    package var keepsAlive = true

    package init(method: String, path: String) {
        self.method = method
        self.path = path
    }

    /// The first parameter of that name.
    package func parameter(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// A switch such as `usedonly`: present counts as true, whatever its value, as in Envoy.
    package func has(_ name: String) -> Bool { parameters.contains { $0.name == name } }

    /// The first field of that lower-case name.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// With the fields of a form that was posted among the parameters, as Envoy reads them.
    var withFormParameters: LocalRequest {
        guard method == "POST", header("content-type") == "application/x-www-form-urlencoded" else { return self }
        var request = self
        request.parameters += LocalRequestParser.parameters(body[...])
        return request
    }

    package static func == (left: LocalRequest, right: LocalRequest) -> Bool {
        left.method == right.method && left.path == right.path && left.body == right.body
            && left.keepsAlive == right.keepsAlive && left.parameters.elementsEqual(right.parameters, by: ==)
            && left.headers.elementsEqual(right.headers, by: ==)
    }
}

/// An answer of admin or of the demo's upstream.
package struct LocalResponse: Sendable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]
    package var headers: [(name: String, value: String)] = []

    package init(_ body: String, contentType: String = LocalResponse.text) {
        self.init(bytes: Array(body.utf8), contentType: contentType)
    }

    package init(_ status: Int, _ body: String) {
        self.init(status: status, bytes: Array(body.utf8))
    }

    package init(status: Int = 200, bytes: [UInt8], contentType: String = LocalResponse.text) {
        self.status = status
        self.body = bytes
        self.contentType = contentType
    }

    package static let text = "text/plain; charset=UTF-8"
    package static let json = "application/json"
}

/// Reads requests out of received bytes.
///
/// The target may hold anything but control characters, unencoded: pilot-agent sends a regular expression with `^`, `\`, `|`,
/// `(` and `$` as it stands. The method ends at the first space and the version begins after the last.
package enum LocalRequestParser {
    /// A head beyond this is refused. A `filter=` of some kilobytes is known to be sent.
    package static let headLimit = 64 << 10
    /// Bodies are not used by any endpoint; more than this is refused.
    package static let bodyLimit = 1 << 20

    package enum Outcome: Equatable {
        /// More bytes are needed.
        case incomplete
        /// One request, and how many bytes it took.
        case request(LocalRequest, Int)
        /// The answer before the connection is closed.
        case refused(Int)
    }

    /// Parses the first request in `bytes`.
    package static func parse(_ bytes: [UInt8]) -> Outcome {
        guard let end = headEnd(bytes) else { return bytes.count > headLimit ? .refused(431) : .incomplete }
        guard end <= headLimit else { return .refused(431) }
        let lines = split(bytes[..<end])
        guard let first = lines.first, let space = first.firstIndex(of: 0x20), let last = first.lastIndex(of: 0x20), space < last
        else { return .refused(400) }
        let target = first[(space + 1)..<last]
        let version = String(decoding: first[(last + 1)...], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else { return .refused(400) }
        guard !target.isEmpty, !target.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return .refused(400) }
        let method = String(decoding: first[..<space], as: UTF8.self)
        guard methods.contains(method) else { return .refused(400) }
        var request = LocalRequest(method: method, path: "")
        setTarget(target, &request)
        request.keepsAlive = version == "HTTP/1.1"
        var length = 0
        var isChunked = false
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: 0x3A), colon > line.startIndex else { return .refused(400) }
            let name = String(decoding: line[..<colon].map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
            let value = trimmed(line[(colon + 1)...])
            request.headers.append((name, value))
            switch name {
            case "content-length":
                guard let number = Int(value), number >= 0, value.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                    return .refused(400)
                }
                length = number
            case "transfer-encoding":
                guard value.lowercased() == "chunked" else { return .refused(501) }
                isChunked = true
            case "connection":
                let words = value.lowercased()
                if words.contains("close") { request.keepsAlive = false }
                if words.contains("keep-alive") { request.keepsAlive = true }
            default: break
            }
        }
        if isChunked {
            // Both at once is an attempt to be read in two ways.
            guard length == 0, request.header("content-length") == nil else { return .refused(400) }
            switch chunks(bytes[end...]) {
            case .incomplete: return bytes.count - end > bodyLimit + headLimit ? .refused(413) : .incomplete
            case .malformed: return .refused(400)
            case .tooLarge: return .refused(413)
            case .whole(let body, let next):
                request.body = body
                return .request(request, next)
            }
        }
        guard length <= bodyLimit else { return .refused(413) }
        let total = end + length
        guard bytes.count >= total else { return .incomplete }
        request.body = Array(bytes[end..<total])
        return .request(request, total)
    }

    private enum Chunks {
        case incomplete, malformed, tooLarge
        /// The body, and where what follows it begins.
        case whole([UInt8], Int)
    }

    /// A chunked body (RFC 9112 §7.1). Extensions and trailers mean nothing here.
    private static func chunks(_ bytes: ArraySlice<UInt8>) -> Chunks {
        var body: [UInt8] = []
        var rest = bytes
        /// A line without its end; nil until it is there.
        func line() -> ArraySlice<UInt8>? {
            guard let end = rest.firstIndex(of: 0x0A) else { return nil }
            let line = rest[..<end]
            rest = rest[(end + 1)...]
            return line.last == 0x0D ? line.dropLast() : line
        }
        while let head = line() {
            let digits = head.prefix { $0 != 0x3B && $0 != 0x20 }
            guard digits.count <= 8, let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size >= 0,
                digits.first != 0x2B, digits.first != 0x2D
            else { return .malformed }
            guard body.count + size <= bodyLimit else { return .tooLarge }
            if size == 0 {
                while let trailer = line() {
                    if trailer.isEmpty { return .whole(body, rest.startIndex) }
                }
                return .incomplete
            }
            guard rest.count >= size + 2 else { return .incomplete }
            body += rest.prefix(size)
            rest = rest.dropFirst(size)
            guard line()?.isEmpty == true else { return .malformed }
        }
        return .incomplete
    }

    /// As Envoy's codec knows them.
    private static let methods: Set<String> = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"]

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x0A {
                if index + 1 < bytes.count, bytes[index + 1] == 0x0A { return index + 2 }
                if index + 2 < bytes.count, bytes[index + 1] == 0x0D, bytes[index + 2] == 0x0A { return index + 3 }
            }
            index += 1
        }
        return nil
    }

    private static func split(_ head: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        head.split(separator: 0x0A).map { $0.last == 0x0D ? $0.dropLast() : $0 }.filter { !$0.isEmpty }
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        var rest = bytes.drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
        return String(decoding: rest, as: UTF8.self)
    }

    private static func setTarget(_ target: ArraySlice<UInt8>, _ request: inout LocalRequest) {
        var rest = target
        // The absolute form; its authority means nothing here.
        let scheme = Array("http://".utf8)
        if rest.starts(with: scheme) {
            rest = rest.dropFirst(scheme.count)
            rest = rest.firstIndex(of: 0x2F).map { rest[$0...] } ?? [0x2F]
        }
        let parts = rest.split(separator: 0x3F, maxSplits: 1, omittingEmptySubsequences: false)
        request.path = percentDecoded(parts.first ?? [])
        guard parts.count > 1 else { return }
        let query = parts[1].split(separator: 0x23, maxSplits: 1, omittingEmptySubsequences: false).first ?? []
        request.parameters = parameters(query)
    }

    /// The parameters of a query or of a form.
    static func parameters(_ query: ArraySlice<UInt8>) -> [(name: String, value: String)] {
        query.split(separator: 0x26).map { pair in
            let sides = pair.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            return (percentDecoded(sides.first ?? []), sides.count > 1 ? percentDecoded(sides[1]) : "")
        }
    }

    /// `%41` becomes `A`; a `%` that is not followed by two hexadecimal digits stays.
    package static func percentDecoded(_ bytes: ArraySlice<UInt8>) -> String {
        func digit(_ byte: UInt8) -> UInt8? {
            switch byte {
            case 0x30...0x39: byte - 0x30
            case 0x41...0x46: byte - 0x37
            case 0x61...0x66: byte - 0x57
            default: nil
            }
        }
        var output: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == 0x25, index + 2 < bytes.endIndex, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                output.append(high << 4 | low)
                index += 3
            } else {
                output.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// Writes answers.
package enum LocalResponseWriter {
    /// The whole answer. HEAD gets the head alone.
    package static func bytes(_ response: LocalResponse, to request: LocalRequest?, server: String) -> [UInt8] {
        let keepsAlive = request?.keepsAlive ?? false
        var head = "HTTP/1.1 \(response.status) \(reason(response.status))\r\n"
        if !response.contentType.isEmpty { head += "content-type: \(response.contentType)\r\n" }
        head += "cache-control: no-cache, max-age=0\r\nx-content-type-options: nosniff\r\n"
        head += "date: \(date())\r\nserver: \(server)\r\ncontent-length: \(response.body.count)\r\n"
        for (name, value) in response.headers { head += "\(name): \(value)\r\n" }
        if !keepsAlive { head += "connection: close\r\n" }
        head += "\r\n"
        return Array(head.utf8) + (request?.method == "HEAD" ? [] : response.body)
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 413: "Payload Too Large"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        default: "Unknown"
        }
    }

    /// RFC 9110 §5.6.7.
    private static func date() -> String {
        var now = time(nil)
        var calendar = tm()
        gmtime_r(&now, &calendar)
        var text: [CChar] = Array(repeating: 0, count: 40)
        let count = strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &calendar)
        return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
