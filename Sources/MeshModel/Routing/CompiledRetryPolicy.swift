// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshIO

/// A `RetryPolicy` in the form that requests meet.
package struct CompiledRetryPolicy: BitwiseCopyable, Sendable {
    package var conditions: RetryConditions = []
    package var retries: UInt32 = 1
    /// Milliseconds; 0 for none.
    package var perTryTimeoutMilliseconds: Int64 = 0
    package var perTryIdleTimeoutMilliseconds: Int64 = 0
    package var avoidsPreviousHosts = false
    package var omitsCanaryHosts = false
    package var hostSelectionAttempts: UInt32 = 1
    /// 0 for no choice of priorities.
    package var priorityUpdateFrequency: UInt32 = 0
    package var backoff = Backoff(base: 25, max: 250)
    /// Statuses in the table's lists.
    var statusCodes = TableRange()
    /// `headerMatchers` of the table.
    var responseHeaders = TableRange()
    var requestHeaders = TableRange()
    var resetHeaders = TableRange()
    var maxResetMilliseconds: UInt64 = 300_000
}

/// A header that says when to come again.
struct CompiledResetHeader: BitwiseCopyable {
    var name = HeaderName()
    var format = ResetHeaderFormat.seconds
}

extension RouteTableBuilder {
    /// Compiles a policy; returns its index.
    mutating func add(_ policy: RetryPolicy, at path: String) throws(ResourceError) -> Int32 {
        var compiled = CompiledRetryPolicy()
        compiled.conditions = policy.conditions
        compiled.retries = policy.retries
        compiled.perTryTimeoutMilliseconds = policy.perTryTimeout?.roundedUpMilliseconds ?? 0
        compiled.perTryIdleTimeoutMilliseconds = policy.perTryIdleTimeout?.roundedUpMilliseconds ?? 0
        compiled.avoidsPreviousHosts = policy.avoidsPreviousHosts
        compiled.omitsCanaryHosts = policy.omitsCanaryHosts
        compiled.hostSelectionAttempts = policy.hostSelectionAttempts
        compiled.priorityUpdateFrequency = policy.priorityUpdateFrequency ?? 0
        let base = UInt64(max(1, policy.baseInterval.roundedUpMilliseconds))
        let limit = policy.maxInterval.map { UInt64(max(1, $0.roundedUpMilliseconds)) }
        compiled.backoff = Backoff(base: base, max: limit ?? base.multipliedReportingOverflow(by: 10).partialValue)
        compiled.statusCodes = TableRange(start: statusCodes.count, count: policy.statusCodes.count)
        statusCodes += policy.statusCodes
        compiled.responseHeaders = try add(policy.responseHeaders, at: path + ".retriable_headers")
        compiled.requestHeaders = try add(policy.requestHeaders, at: path + ".retriable_request_headers")
        compiled.resetHeaders = TableRange(start: resetHeaders.count, count: policy.resetHeaders.count)
        for header in policy.resetHeaders {
            let name = addName(header.name)
            resetHeaders.append(CompiledResetHeader(name: name, format: header.format))
        }
        compiled.maxResetMilliseconds = UInt64(max(0, policy.maxResetInterval.roundedUpMilliseconds))
        retryPolicies.append(compiled)
        return Int32(retryPolicies.count - 1)
    }
}

extension RouteTable {
    /// The policy of a route; nil without one. Valid while the table lives.
    package func retryPolicy(_ route: UnsafePointer<CompiledRoute>) -> UnsafePointer<CompiledRetryPolicy>? {
        let index = route.pointee.retryPolicy
        return index < 0 ? nil : UnsafePointer(retryPolicies.base + Int(index))
    }
}

extension RouteMatcher {
    /// Whether a request may be made again at all: one of the policy's conditions on requests holds, or there is none.
    package func allowsRetries(
        _ policy: UnsafePointer<CompiledRetryPolicy>, _ headers: borrowing HeaderBlock
    ) -> Bool {
        if policy.pointee.requestHeaders.isEmpty { return true }
        return holdsAny(of: policy.pointee.requestHeaders, headers)
    }

    /// Whether a response's status is one the policy names.
    package func isRetriable(_ policy: UnsafePointer<CompiledRetryPolicy>, status: UInt16) -> Bool {
        for index in policy.pointee.statusCodes.indices where table.statusCodes[index] == UInt32(status) { return true }
        return false
    }

    /// Whether a response has a header the policy names.
    package func isRetriable(_ policy: UnsafePointer<CompiledRetryPolicy>, _ headers: borrowing HeaderBlock) -> Bool {
        holdsAny(of: policy.pointee.responseHeaders, headers)
    }

    private func holdsAny(of matchers: TableRange, _ headers: borrowing HeaderBlock) -> Bool {
        for index in matchers.indices where holds(table.headerMatchers.base + index, headers) { return true }
        return false
    }

    /// Milliseconds after which a response asks to come again; nil where it does not, or asks for longer than the policy
    /// allows.
    ///
    /// - Parameter wallClock: seconds since 1970.
    package func askedWait(
        _ policy: UnsafePointer<CompiledRetryPolicy>, _ headers: borrowing HeaderBlock, wallClock: UInt64
    ) -> UInt64? {
        for index in policy.pointee.resetHeaders.indices {
            let header = table.resetHeaders[index]
            let field = headers.firstIndex(header.name, table.bytes(header.name.text))
            guard field >= 0, let value = DecimalText.parse(headers.value(at: field).trimmed),
                let wait = header.format.milliseconds(value, wallClock: wallClock),
                wait <= policy.pointee.maxResetMilliseconds
            else { continue }
            return wait
        }
        return nil
    }
}
