// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
package import MeshRegex
import Synchronization

/// Which records an access log writes. Source: `envoy.config.accesslog.v3.AccessLogFilter`.
package indirect enum AccessLogFilter: Equatable, Sendable {
    /// Of the response's status; 0 where there is none.
    case status(Comparison)
    /// Of the milliseconds so far.
    case duration(Comparison)
    /// What a health-check filter has not marked; without such a filter everything.
    case notHealthCheck
    /// What tracing would sample.
    case traceable
    /// A share of the records. `isIndependent`: by a number of its own, not by the request's ID.
    case share(FractionalPercent, RuntimeReference, isIndependent: Bool)
    case all([AccessLogFilter])
    case any([AccessLogFilter])
    case header(HeaderPredicate)
    /// Any of the flags, by their bits; every flag when 0.
    case flags(UInt64)
    /// gRPC statuses by their bits; of what is no gRPC by what the HTTP status means.
    case grpcStatus(UInt32, excludes: Bool)
    /// Types by their bits.
    case type(UInt32, excludes: Bool)
    /// By dynamic metadata, which nothing writes: the outcome for what is not there. Source: `metadata_filter`.
    case metadata(admitsMissing: Bool)
    /// What a CEL expression is true for. Source: `extension_filter` with `ExpressionFilter`.
    case expression(CELProgram)

    /// A number beside another. Source: `ComparisonFilter`.
    package struct Comparison: Equatable, Sendable {
        package enum Operation: UInt8, BitwiseCopyable, Sendable { case equal, atLeast, atMost, notEqual }
        package var operation: Operation
        package var value: UInt64
        /// Names another value while the process runs.
        package var runtime: RuntimeReference

        package init(_ operation: Operation, _ value: UInt64, _ runtime: RuntimeReference = RuntimeReference()) {
            self.operation = operation
            self.value = value
            self.runtime = runtime
        }

        func holds(_ other: UInt64) -> Bool {
            let value = runtime.value?.number(fallback: value) ?? value
            return switch operation {
            case .equal: other == value
            case .atLeast: other >= value
            case .atMost: other <= value
            case .notEqual: other != value
            }
        }
    }

    /// The same filter, that looks its keys up in `runtime`.
    package func bound(to runtime: Runtime) -> AccessLogFilter {
        switch self {
        case .status(var comparison):
            comparison.runtime.bind(to: runtime)
            return .status(comparison)
        case .duration(var comparison):
            comparison.runtime.bind(to: runtime)
            return .duration(comparison)
        case .share(let share, var reference, let isIndependent):
            reference.bind(to: runtime)
            return .share(share, reference, isIndependent: isIndependent)
        case .all(let filters): return .all(filters.map { $0.bound(to: runtime) })
        case .any(let filters): return .any(filters.map { $0.bound(to: runtime) })
        default: return self
        }
    }

    /// Whether a record passes.
    ///
    /// - Parameter random: for shares that are independent of the request.
    package func admits(_ subject: some AccessLogSubject, random: UInt64) -> Bool {
        switch self {
        case .status(let comparison): return comparison.holds(UInt64(subject.logStatus))
        case .duration(let comparison): return comparison.holds(subject.logMilliseconds)
        case .notHealthCheck: return true
        case .traceable: return subject.isTraced
        case .share(let share, let runtime, let isIndependent):
            let number = isIndependent ? random : subject.stableRandom ?? random
            return runtime.value?.contains(random: number, fallback: share) ?? share.contains(random: number)
        case .all(let filters):
            for filter in filters where !filter.admits(subject, random: random) { return false }
            return true
        case .any(let filters):
            for filter in filters where filter.admits(subject, random: random) { return true }
            return false
        case .header(let predicate): return subject.meets(predicate)
        case .flags(let flags): return subject.logFlags & (flags == 0 ? .max : flags) != 0
        case .grpcStatus(let statuses, let excludes):
            let status = subject.logGRPCStatus
            return (status < 32 && statuses & (1 << status) != 0) != excludes
        case .type(let types, let excludes): return (types & (1 << UInt32(subject.logType.rawValue)) != 0) != excludes
        case .metadata(let admitsMissing): return admitsMissing
        case .expression(let program): return program.holds(subject)
        }
    }
}

/// A key of the runtime in a resource, and its value once the resource is compiled.
package struct RuntimeReference: Equatable, Sendable {
    /// Empty for none.
    package let key: String
    package private(set) var value: RuntimeValue?

    package init(key: String = "") { self.key = key }

    mutating func bind(to runtime: Runtime) { value = key.isEmpty ? nil : runtime.value(of: key) }

    package static func == (left: RuntimeReference, right: RuntimeReference) -> Bool { left.key == right.key }
}

/// What filters of access logs ask a record.
package protocol AccessLogSubject: FormatContext {
    /// 0 without a response.
    var logStatus: UInt16 { get }
    /// Since the beginning.
    var logMilliseconds: UInt64 { get }
    /// `ResponseFlags`, by their bits.
    var logFlags: UInt64 { get }
    var logType: AccessLogType { get }
    /// 2 (UNKNOWN) where nothing tells.
    var logGRPCStatus: UInt32 { get }
    var isTraced: Bool { get }
    /// A number that is the same for every hop of the request, from its ID.
    var stableRandom: UInt64? { get }
    /// Whether the request's headers meet a condition.
    func meets(_ predicate: HeaderPredicate) -> Bool
}

/// A `HeaderMatcher` that stands alone, ready to be asked.
package struct HeaderPredicate: Equatable, Sendable {
    /// What it was made from.
    package let matcher: HeaderMatcher
    /// The regex of its condition, and a number of it among those of the process, by which a thread finds its own compiled one.
    package let program: RegexProgram?
    package let regex: Int
    private let token: HeaderToken
    private let name: [UInt8]
    private let text: [UInt8]

    private static let regexes = Atomic<Int>(0)

    /// - Throws: `ResourceError` for the pattern in its condition.
    package init(_ matcher: HeaderMatcher, maxRegexProgramSize: Int? = nil) throws(ResourceError) {
        self.matcher = matcher
        if case .string(let string) = matcher.condition, case .regex(let pattern) = string.pattern {
            do throws(RegexError) {
                program = try RegexProgram(pattern, maxProgramSize: maxRegexProgramSize)
            } catch {
                throw ResourceError(
                    path: "string_match.safe_regex.regex", found: "'\(pattern)': \(error.description)",
                    allowed: "an RE2 pattern")
            }
            regex = Self.regexes.add(1, ordering: .relaxed).oldValue
        } else {
            program = nil
            regex = -1
        }
        var lower = matcher.name.utf8.map { ASCII.lowercase($0) }
        if lower == Array("host".utf8) { lower = Array(":authority".utf8) }
        name = lower
        token = lower.withUnsafeBytes { HeaderToken.find($0) }
        guard case .string(let string) = matcher.condition else {
            text = []
            return
        }
        switch string.pattern {
        case .exact(let value), .prefix(let value), .suffix(let value), .contains(let value), .regex(let value):
            text = string.ignoreCase ? value.utf8.map { ASCII.lowercase($0) } : Array(value.utf8)
        }
    }

    package static func == (left: HeaderPredicate, right: HeaderPredicate) -> Bool { left.matcher == right.matcher }

    /// Whether the headers meet the condition.
    ///
    /// - Parameter matchesRegex: asks the thread's compiled regex of this predicate.
    package func holds(_ headers: borrowing HeaderBlock, matchesRegex: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        name.withUnsafeBytes { name in
            var index = token == .none ? headers.firstIndex(named: name) : headers.firstIndex(of: token)
            if case .present(let shallBeThere) = matcher.condition {
                return ((index >= 0 || matcher.treatMissingAsEmpty) == shallBeThere) != matcher.invert
            }
            if index < 0 {
                guard matcher.treatMissingAsEmpty else { return false }
                return meets(UnsafeRawBufferPointer(start: nil, count: 0), matchesRegex) != matcher.invert
            }
            while index >= 0 {
                if meets(headers.value(at: index), matchesRegex) { return !matcher.invert }
                index =
                    token == .none
                    ? headers.firstIndex(named: name, from: index &+ 1) : headers.nextIndex(of: token, after: index)
            }
            return matcher.invert
        }
    }

    private func meets(_ value: UnsafeRawBufferPointer, _ matchesRegex: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        switch matcher.condition {
        case .present(let shallBeThere): return shallBeThere
        case .range(let start, let end):
            guard let number = CompiledHeaderMatcher.integer(value) else { return false }
            return number >= start && number < end
        case .string(let string):
            var compiled = CompiledStringMatcher()
            compiled.ignoreCase = string.ignoreCase
            switch string.pattern {
            case .exact: compiled.kind = .exact
            case .prefix: compiled.kind = .prefix
            case .suffix: compiled.kind = .suffix
            case .contains: compiled.kind = .contains
            case .regex: return matchesRegex(value)
            }
            return text.withUnsafeBytes { compiled.matches(value, pattern: $0) }
        }
    }
}
