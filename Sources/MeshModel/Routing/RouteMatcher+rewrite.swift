// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP
import MeshRegex

extension RouteMatcher {
    /// Whether a route changes the path.
    package func rewritesPath(_ route: UnsafePointer<CompiledRoute>) -> Bool { route.pointee.pathRewrite != .none }

    /// Appends the path a matched route makes of `target` (path with query); false, with nothing appended, when it
    /// keeps it.
    package func rewritePath(
        _ route: UnsafePointer<CompiledRoute>, _ target: UnsafeRawBufferPointer, to sink: ByteSink
    ) -> Bool {
        let pathLength = PathText.lengthWithoutQuery(target)
        switch route.pointee.pathRewrite {
        case .none: return false
        case .prefix:
            // A regex and an exact path matched all of it, a prefix only itself.
            let matched =
                switch route.pointee.pathKind {
                case .prefix, .separatedPrefix: min(Int(route.pointee.pathText.count), target.count)
                case .exact, .regex, .connect: pathLength
                }
            sink.append(table.bytes(route.pointee.rewriteText))
            sink.append(UnsafeRawBufferPointer(rebasing: target[matched...]))
        case .regex:
            replaceAll(
                route.pointee.rewriteRegex, in: UnsafeRawBufferPointer(rebasing: target[..<pathLength]),
                with: route.pointee.rewriteText, to: sink)
            sink.append(UnsafeRawBufferPointer(rebasing: target[pathLength...]))
        }
        return true
    }

    private func replaceAll(
        _ regex: Int32, in text: UnsafeRawBufferPointer, with substitution: TableRange, to sink: ByteSink
    ) {
        regexes.replacingAll(Int(regex), in: text, with: table.bytes(substitution)) { sink.append($0) }
    }

    /// Appends the upstream's host when the route, or the weighted target, sets one from what the request holds; false,
    /// with nothing appended, when it does not or leaves it to the endpoint (`.automatic`).
    ///
    /// - Parameter target: the picked weighted target, or -1.
    package func rewriteHost(
        _ route: UnsafePointer<CompiledRoute>, target: Int = -1, _ headers: borrowing HeaderBlock, to sink: ByteSink
    ) -> Bool {
        if target >= 0, table.target(route, target).pointee.rewritesHost {
            sink.append(table.bytes(table.target(route, target).pointee.host))
            return true
        }
        switch route.pointee.hostRewrite {
        case .none, .automatic: return false
        case .literal:
            sink.append(table.bytes(route.pointee.hostText))
            return true
        case .header:
            let index = headers.firstIndex(route.pointee.hostHeader, table.bytes(route.pointee.hostHeader.text))
            guard index >= 0, headers.value(at: index).count > 0 else { return false }
            sink.append(headers.value(at: index))
            return true
        case .pathRegex:
            guard let path = headers.value(of: .path) else { return false }
            let length = PathText.lengthWithoutQuery(path)
            replaceAll(
                route.pointee.hostRegex, in: UnsafeRawBufferPointer(rebasing: path[..<length]),
                with: route.pointee.hostText,
                to: sink)
            return true
        }
    }

    /// Appends the `location` of a redirect route for a request whose path was rewritten already (`rewritePath`).
    package func redirectLocation(
        _ route: UnsafePointer<CompiledRoute>, _ headers: borrowing HeaderBlock, to sink: ByteSink
    ) {
        guard route.pointee.redirect >= 0 else { return }
        let redirect = table.redirects[Int(route.pointee.redirect)]
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        let scheme = redirect.scheme.isEmpty ? headers.value(of: .scheme) ?? empty : table.bytes(redirect.scheme)
        sink.append(scheme)
        sink.append("://")
        if redirect.host.isEmpty {
            let host = headers.value(of: .authority) ?? empty
            let kept = Self.hostLength(
                host, newScheme: scheme, hasNewPort: !redirect.port.isEmpty,
                forwardedProto: headers.value(of: .forwardedProto) ?? empty)
            sink.append(UnsafeRawBufferPointer(rebasing: host[..<kept]))
        } else {
            sink.append(table.bytes(redirect.host))
        }
        sink.append(table.bytes(redirect.port))
        let target = headers.value(of: .path) ?? empty
        var queryStart = 0
        while queryStart < target.count, target[queryStart] != UInt8(ascii: "?") { queryStart &+= 1 }
        sink.append(
            redirect.replacesPath ? table.bytes(redirect.path) : UnsafeRawBufferPointer(rebasing: target[..<queryStart])
        )
        // A query of the redirect's own replaces the request's.
        if !redirect.pathHasQuery, !redirect.stripsQuery {
            sink.append(UnsafeRawBufferPointer(rebasing: target[queryStart...]))
        }
    }

    /// How much of the request's host stays: its port goes when the redirect brings one, or when it was the default
    /// port of the scheme that the redirect leaves.
    private static func hostLength(
        _ host: UnsafeRawBufferPointer, newScheme: UnsafeRawBufferPointer, hasNewPort: Bool,
        forwardedProto: UnsafeRawBufferPointer
    ) -> Int {
        var colon = -1
        var index = host.count
        while index > 0 {
            index &-= 1
            if host[index] == UInt8(ascii: ":") {
                colon = index
                break
            }
        }
        guard colon >= 0 else { return host.count }
        // The last colon of a bracketed literal without port is part of the address.
        if host[0] == UInt8(ascii: "["), colon == 0 || host[colon &- 1] != UInt8(ascii: "]") { return host.count }
        if hasNewPort { return colon }
        guard !newScheme.hasSameBytes(as: forwardedProto) else { return host.count }
        let port = UnsafeRawBufferPointer(rebasing: host[colon...])
        if forwardedProto.equals("https"), port.equals(":443") { return colon }
        if forwardedProto.equals("http"), port.equals(":80") { return colon }
        return host.count
    }
}
