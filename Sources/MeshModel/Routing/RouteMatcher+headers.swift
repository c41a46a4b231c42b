// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
package import MeshIO

extension RouteMatcher {
    /// Does the request header operations of a route: the weighted target's, then route, virtual host and
    /// configuration, or the other way round when the most specific shall win.
    ///
    /// - Parameters:
    ///   - target: the picked weighted target, or -1.
    ///   - context: gives values of commands; it is not asked for request headers, which are read from `headers`.
    package func applyRequestOperations(
        _ route: UnsafePointer<CompiledRoute>, target: Int = -1, to headers: inout HeaderBlock, from pool: SlabPool,
        context: some FormatContext
    ) {
        if target >= 0 {
            apply(table.target(route, target).pointee.requestOperations, .request, &headers, pool, context)
        }
        let host = table.virtualHost(route.pointee.virtualHost).pointee.requestOperations
        let (first, last) =
            table.outermostFirst
            ? (table.requestOperations, route.pointee.requestOperations)
            : (route.pointee.requestOperations, table.requestOperations)
        apply(first, .request, &headers, pool, context)
        apply(host, .request, &headers, pool, context)
        apply(last, .request, &headers, pool, context)
    }

    /// Does the response header operations of a route, in the order of `applyRequestOperations`.
    package func applyResponseOperations(
        _ route: UnsafePointer<CompiledRoute>, target: Int = -1, to headers: inout HeaderBlock, from pool: SlabPool,
        context: some FormatContext
    ) {
        if target >= 0 {
            apply(table.target(route, target).pointee.responseOperations, .response, &headers, pool, context)
        }
        let host = table.virtualHost(route.pointee.virtualHost).pointee.responseOperations
        let (first, last) =
            table.outermostFirst
            ? (table.responseOperations, route.pointee.responseOperations)
            : (route.pointee.responseOperations, table.responseOperations)
        apply(first, .response, &headers, pool, context)
        apply(host, .response, &headers, pool, context)
        apply(last, .response, &headers, pool, context)
    }

    /// The first virtual cluster of a host that a request belongs to; -1 for none of them.
    package func virtualCluster(of host: UnsafePointer<CompiledVirtualHost>, _ headers: borrowing HeaderBlock) -> Int {
        for index in host.pointee.virtualClusters.indices where holdsAll(of: table.virtualCluster(index).pointee.headers, headers) {
            return index
        }
        return -1
    }

    private func holdsAll(of matchers: TableRange, _ headers: borrowing HeaderBlock) -> Bool {
        for index in matchers.indices where !holds(table.headerMatchers.base + index, headers) { return false }
        return true
    }

    /// Deletes what only a request from inside the mesh may carry (`internal_only_headers`).
    package func removeInternalOnlyHeaders(from headers: inout HeaderBlock) {
        for index in table.internalOnlyHeaders.indices {
            let name = table.nameTable[index]
            headers.removeAll(name, table.bytes(name.text))
        }
    }

    /// One level: removals, then all values are evaluated, then overwrites, then additions. So a value never sees what
    /// its own level sets.
    @inline(__always) private func apply(
        _ range: TableRange, _ kind: FormatHeaders, _ headers: inout HeaderBlock, _ pool: SlabPool,
        _ context: some FormatContext
    ) {
        // Most levels have none.
        if !range.isEmpty { applyAll(range, kind, &headers, pool, context) }
    }

    @inline(never) private func applyAll(
        _ range: TableRange, _ kind: FormatHeaders, _ headers: inout HeaderBlock, _ pool: SlabPool,
        _ context: some FormatContext
    ) {
        scratch.removeAll()
        var stagedCount = 0
        for index in range.indices {
            let operation = table.operations.base + index
            let name = operation.pointee.name
            switch operation.pointee.kind {
            case .remove:
                headers.removeAll(name, table.bytes(name.text))
                continue
            case .addIfAbsent:
                if headers.firstIndex(name, table.bytes(name.text)) >= 0 { continue }
            case .overwriteIfPresent:
                if headers.firstIndex(name, table.bytes(name.text)) < 0 { continue }
            case .appendOrAdd, .overwriteOrAdd: break
            }
            let start = scratch.count
            if let format = operation.pointee.format {
                format._withUnsafeGuaranteedRef {
                    $0.write(to: scratch, context: context, missing: "", own: kind, block: headers)
                }
            } else {
                scratch.append(table.bytes(operation.pointee.literal))
            }
            if scratch.count == start, !operation.pointee.keepEmptyValue { continue }
            staged[stagedCount] = StagedValue(
                operation: Int32(truncatingIfNeeded: index), start: Int32(truncatingIfNeeded: start),
                count: Int32(truncatingIfNeeded: scratch.count - start))
            stagedCount &+= 1
        }
        for overwrites in [true, false] {
            for index in 0..<stagedCount {
                let value = staged[index]
                let operation = table.operations.base + Int(value.operation)
                let kind = operation.pointee.kind
                guard overwrites == (kind == .overwriteOrAdd || kind == .overwriteIfPresent) else { continue }
                let name = operation.pointee.name
                let bytes = UnsafeRawBufferPointer(
                    rebasing: scratch.bytes[Int(value.start)..<Int(value.start) + Int(value.count)])
                if overwrites { headers.removeAll(name, table.bytes(name.text)) }
                headers.append(name: table.bytes(name.text), value: bytes, from: pool)
            }
        }
    }
}

extension HeaderBlock {
    /// Deletes every field of a table's name.
    mutating func removeAll(_ name: HeaderName, _ text: UnsafeRawBufferPointer) {
        if name.token == .none { removeAll(named: text) } else { removeAll(name.token) }
    }
}
