// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel

/// Calls `body` with the UTF-8 bytes of a text.
func withBytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes { body($0) }
}

func string(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }

/// Header blocks from pairs of text, and back.
final class Heads {
    let pool = SlabPool()

    func block(_ fields: [(String, String)]) -> HeaderBlock {
        var block = HeaderBlock()
        for (name, value) in fields {
            withBytes(name) { name in
                withBytes(value) { value in
                    _ = block.append(name: name, value: value, from: pool)
                }
            }
        }
        return block
    }

    /// A request block with its pseudo headers first.
    func request(
        _ target: String?, host: String = "a.test", method: String = "GET", _ fields: [(String, String)] = []
    ) -> HeaderBlock {
        var all = [(":method", method), (":authority", host), (":scheme", "http")]
        if let target { all.append((":path", target)) }
        return block(all + fields)
    }

    static func pairs(_ block: borrowing HeaderBlock) -> [String] {
        var result: [String] = []
        for index in 0..<block.fieldCount where block.isLive(index) {
            result.append("\(string(block.name(at: index))): \(string(block.value(at: index)))")
        }
        return result
    }
}

/// A format context with fixed answers.
final class FixedContext: AccessLogSubject {
    var headers: [String: String] = [:]
    var metadata = MetadataTable()
    var logStatus: UInt16 = 0
    var logMilliseconds: UInt64 = 0
    var logFlags: UInt64 = 0
    var logType = AccessLogType.notSet
    var logGRPCStatus: UInt32 = 2
    var isTraced = false
    var stableRandom: UInt64?
    let celScratch = CELScratch(node: FixedContext.node)
    /// Heads that expressions read.
    var fields: [FormatHeaders: [(String, String)]] = [:]
    var numbers: [ContextNumber: UInt64] = [:]
    private let heads = Heads()

    private static var node: NodeIdentity {
        var node = NodeIdentity()
        node.id = "n1"
        node.cluster = "c1"
        node.metadata = MetadataTree(.object(["LABELS": .object(["app": .string("a")])]))
        return node
    }

    func celNumber(_ number: ContextNumber) -> UInt64? { numbers[number] }

    func celMetadata(_ source: MetadataSource) -> ContextMetadata {
        source == .route ? .tree(Unmanaged.passUnretained(metadata.tree)) : .missing
    }

    func readHeaders(_ headers: FormatHeaders, _ use: (borrowing HeaderBlock) -> Void) {
        guard let fields = fields[headers] else { return }
        use(heads.block(fields))
    }

    func meets(_ predicate: HeaderPredicate) -> Bool { false }

    func appendMetadata(
        _ command: FormatCommand, argument: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink
    ) -> Bool {
        guard let split = MetadataSource.split(argument) else { return false }
        return metadata.append(split.path, quotes: quotes, to: sink)
    }

    var values: [FormatCommand: String] = [:]
    private var lent: [UInt8] = []

    func headerValue(_ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer)
        -> UnsafeRawBufferPointer?
    {
        guard let value = self.headers["\(headers)/\(string(name))"] else { return nil }
        lent = Array(value.utf8)
        return lent.withUnsafeBytes { $0 }
    }

    func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        if command == .startTime {
            FormatTime.append(microseconds: 1_787_400_000_123_456, format: argument, to: sink)
            return true
        }
        guard let value = values[command] else { return false }
        sink.append(string: value + string(argument))
        return true
    }
}

extension Route {
    /// A route that answers with its own number as status, so that tests see which one was taken.
    init(_ path: RouteMatch.PathMatch, caseSensitive: Bool = true) {
        var match = RouteMatch(path)
        match.caseSensitive = caseSensitive
        self.init(match: match, action: .directResponse(DirectResponse(status: 200)))
    }
}

extension RouteConfiguration {
    /// One virtual host for everything.
    init(routes: [Route]) {
        self.init(virtualHosts: [VirtualHost(name: "all", domains: ["*"], routes: routes)])
    }
}
