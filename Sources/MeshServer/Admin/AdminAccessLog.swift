// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshDataPlane
import MeshHTTP
package import MeshIO
package import MeshModel
import MeshRegex

/// `admin.access_log`: a record of each answer, written on admin's thread.
package final class AdminAccessLog: Sendable {
    private struct Log: Sendable {
        let file: LogFileID
        let format: AccessLogFormat
        let filter: AccessLogFilter?
    }

    private let logs: [Log]
    private let sink: LogWriter
    private let localAddress: Address
    private let hostAddress: Address

    /// - Parameters:
    ///   - localAddress: where admin listens.
    ///   - hostAddress: what `x-forwarded-for` says of a client on this machine.
    /// - Throws: `LogFileFailure` for a file that cannot be opened.
    package init(
        _ configs: [AccessLogConfig], sink: LogWriter, runtime: Runtime, localAddress: Address, hostAddress: Address
    ) throws(LogFileFailure) {
        var logs: [Log] = []
        for config in configs {
            logs.append(Log(
                file: try sink.open(config.destination), format: config.format, filter: config.filter?.bound(to: runtime)))
        }
        self.logs = logs
        self.sink = sink
        self.localAddress = localAddress
        self.hostAddress = hostAddress
    }

    /// - Parameter start: when the request was read. - Unit: nanoseconds since 1970.
    func write(_ request: LocalRequest, _ response: LocalResponse, start: UInt64) {
        guard !logs.isEmpty else { return }
        let record = AdminRecord(request, response, start: start, localAddress: localAddress, hostAddress: hostAddress)
        for log in logs {
            if let filter = log.filter, !filter.admits(record, random: .random(in: 0 ... .max)) { continue }
            let line = ByteSink()
            log.format.write(to: line, context: record)
            _ = sink.write(Array(line.bytes), to: log.file)
        }
    }

    /// The clock of records. - Unit: nanoseconds since 1970.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

/// One request of admin as access logs see it: a stream without an upstream.
private final class AdminRecord: AccessLogSubject {
    private let pool = SlabPool()
    private var request = HeaderBlock()
    private var response = HeaderBlock()
    private let version: String
    private let start: UInt64
    private let bytesReceived: Int
    private let bytesSent: Int
    private let localAddress: Address
    let logStatus: UInt16
    let logMilliseconds: UInt64

    init(_ request: LocalRequest, _ response: LocalResponse, start: UInt64, localAddress: Address, hostAddress: Address) {
        self.start = start
        self.localAddress = localAddress
        version = request.version
        bytesReceived = request.body.count
        bytesSent = response.body.count
        logStatus = UInt16(clamping: response.status)
        logMilliseconds = (AdminAccessLog.now() &- start) / 1_000_000
        add(":method", request.method)
        add(":path", request.target)
        var forwardedFor: [String] = []
        for (name, value) in request.headers {
            if name == "x-forwarded-for" { forwardedFor.append(value) } else { add(name == "host" ? ":authority" : name, value) }
        }
        add("x-forwarded-for", (forwardedFor + [hostAddress.hostText]).joined(separator: ","))
        add("content-type", response.contentType, isResponse: true)
        for (name, value) in response.headers { add(name, value, isResponse: true) }
    }

    /// Before the pool ends, which would be the first.
    deinit {
        request.reset()
        response.reset()
    }

    private func add(_ name: String, _ value: String, isResponse: Bool = false) {
        Array(name.utf8).withUnsafeBytes { name in
            Array(value.utf8).withUnsafeBytes { value in
                if isResponse {
                    _ = response.append(name: name, value: value, from: pool)
                } else {
                    _ = request.append(name: name, value: value, from: pool)
                }
            }
        }
    }

    func headerValue(
        _ headers: FormatHeaders, token: HeaderToken, name: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        switch headers {
        case .request: AdminRecord.value(in: request, token, name)
        case .response: AdminRecord.value(in: response, token, name)
        case .responseTrailers: nil
        }
    }

    private static func value(
        in headers: borrowing HeaderBlock, _ token: HeaderToken, _ name: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        if token != .none { return headers.value(of: token) }
        let index = headers.firstIndex(named: name)
        return index < 0 ? nil : headers.value(at: index)
    }

    func append(_ command: FormatCommand, argument: UnsafeRawBufferPointer, to sink: ByteSink) -> Bool {
        switch command {
        case .startTime: FormatTime.append(microseconds: Int64(start / 1_000), format: argument, to: sink)
        case .startTimeLocal: FormatTime.append(microseconds: Int64(start / 1_000), format: argument, isLocal: true, to: sink)
        case .protocol: sink.append(string: version)
        case .responseCode: sink.append(decimal: UInt64(logStatus))
        case .responseCodeDetails: sink.append("admin_filter_response")
        case .responseFlags, .responseFlagsLong: sink.append("-")
        case .bytesReceived: sink.append(decimal: UInt64(bytesReceived))
        case .bytesSent: sink.append(decimal: UInt64(bytesSent))
        case .duration: sink.append(decimal: logMilliseconds)
        case .downstreamLocalAddress, .downstreamDirectLocalAddress: sink.append(string: localAddress.description)
        case .downstreamLocalAddressWithoutPort, .downstreamDirectLocalAddressWithoutPort: sink.append(string: localAddress.hostText)
        case .accessLogType: sink.append("DownstreamEnd")
        default: return false
        }
        return true
    }

    func appendMetadata(
        _ command: FormatCommand, argument: UnsafeRawBufferPointer, quotes: Bool, to sink: ByteSink
    ) -> Bool { false }

    var logFlags: UInt64 { 0 }
    var logType: AccessLogType { .downstreamEnd }
    var logGRPCStatus: UInt32 { UInt32(GRPCStatus(httpStatus: logStatus).rawValue) }
    var isTraced: Bool { false }
    var stableRandom: UInt64? { nil }

    func meets(_ predicate: HeaderPredicate) -> Bool {
        predicate.holds(request) { value in
            guard let program = predicate.program, let regex = Regex(program) else { return false }
            return regex.matchesAll(of: value)
        }
    }
}
