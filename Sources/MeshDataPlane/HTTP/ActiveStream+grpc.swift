// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
package import MeshModel
import MeshStats

// What is different for a request of gRPC: how the proxy answers it itself, its deadline, its status in logs.
extension ActiveStream {
    /// The request is gRPC's. Decided by the head as it arrived, whatever filters and routes make of it.
    var isGRPC: Bool { phase.contains(.grpc) }

    /// The head is complete and has a `content-type`.
    func recogniseGRPC() {
        guard request.headers.contains(.path), let type = request.headers.value(of: .contentType),
            GRPCMessage.isContentType(type)
        else { return }
        phase.insert(.grpc)
    }

    // MARK: Local replies

    /// Makes a reply of the proxy's one that a gRPC client understands: status 200, and in the head what trailers would say.
    /// The text that would be its body becomes the message.
    func turnReplyIntoGRPC(_ reply: LocalReply, message: UnsafeRawBufferPointer) {
        response.status = 200
        response.headers.removeAll(.contentLength)
        response.headers.replace(.contentType, UnsafeRawBufferPointer("application/grpc"), from: pool)
        setGRPCStatus(reply.grpcStatus ?? GRPCStatus(httpStatus: reply.status))
        guard message.count > 0, request.method != .head else { return }
        withUnsafeTemporaryAllocation(byteCount: message.count * GRPCMessage.expansion, alignment: 1) { buffer in
            let count = GRPCMessage.encode(message, to: buffer)
            response.headers.replace(
                .grpcMessage, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]), from: pool)
        }
    }

    /// A status that the route set stays.
    private func setGRPCStatus(_ status: GRPCStatus) {
        guard !response.headers.contains(.grpcStatus) else { return }
        withUnsafeTemporaryAllocation(byteCount: DecimalText.maxLength, alignment: 1) { buffer in
            let digits = DecimalText.write(UInt64(status.rawValue), to: buffer, at: 0)
            response.headers.append(
                .grpcStatus, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<digits]), from: pool)
        }
    }

    // MARK: Deadlines

    /// Milliseconds of the client's `grpc-timeout`; nil without a valid one.
    private var askedGRPCTimeout: UInt64? { request.headers.value(of: .grpcTimeout).flatMap(GRPCTimeout.milliseconds) }

    /// Longest time a timer is asked for, 2⁴² ms (139 years): the largest `grpc-timeout` in nanoseconds is over 64 bits.
    private static var longestMilliseconds: UInt64 { 1 << 42 }

    private func nanoseconds(_ milliseconds: UInt64) -> UInt64 {
        min(milliseconds, ActiveStream.longestMilliseconds) &* 1_000_000
    }

    /// The timeout of a gRPC request on a route with `max_grpc_timeout`, in place of the route's own.
    func takeGRPCRouteTimeout(_ route: UnsafePointer<CompiledRoute>) {
        routeTimeout = nanoseconds(
            GRPCTimeout.routeTimeout(
                asked: askedGRPCTimeout ?? 0, cap: UInt64(max(0, route.pointee.grpcTimeoutMaxMilliseconds)),
                offset: UInt64(max(0, route.pointee.grpcTimeoutOffsetMilliseconds))))
    }

    /// Bounds the whole stream by the route's `max_stream_duration`, which may take the client's own deadline; a gRPC
    /// upstream is told how long it has.
    func limitDuration(_ route: UnsafePointer<CompiledRoute>, _ manager: HTTPConnectionManager) {
        guard let limit = durationLimit(route, manager) else {
            setMaxDuration(nil)
            // As Envoy: where the manager's limit was lifted, no deadline is left to speak of.
            if isGRPC, manager.config.maxStreamDuration > 0 { request.headers.removeAll(.grpcTimeout) }
            return
        }
        if isGRPC { setGRPCTimeout(limit) }
        setMaxDuration(nanoseconds(limit))
    }

    /// Milliseconds; nil is no limit.
    private func durationLimit(_ route: UnsafePointer<CompiledRoute>, _ manager: HTTPConnectionManager) -> UInt64? {
        if route.pointee.grpcTimeoutMaxMilliseconds >= 0, let asked = askedGRPCTimeout {
            return GRPCTimeout.streamLimit(
                asked: asked, cap: UInt64(route.pointee.grpcTimeoutMaxMilliseconds),
                offset: UInt64(max(0, route.pointee.grpcTimeoutOffsetMilliseconds)))
        }
        let own = route.pointee.maxStreamDurationMilliseconds
        if own >= 0 { return own > 0 ? UInt64(own) : nil }
        let inherited = manager.config.maxStreamDuration
        return inherited > 0 ? inherited / 1_000_000 : nil
    }

    /// Tells the upstream the deadline.
    func setGRPCTimeout(_ milliseconds: UInt64) {
        withUnsafeTemporaryAllocation(byteCount: GRPCTimeout.maxLength, alignment: 1) { buffer in
            let count = GRPCTimeout.write(milliseconds: milliseconds, to: buffer)
            request.headers.replace(
                .grpcTimeout, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]), from: pool)
        }
    }

    // MARK: Logs

    /// `%GRPC_STATUS%`: from the trailers, else from the head, else what the HTTP status means; none for what is not gRPC.
    ///
    /// - Parameter field: the head's `grpc-status`.
    package func appendGRPCStatus(_ form: GRPCStatusForm, field: UnsafeRawBufferPointer?, to sink: ByteSink) -> Bool {
        guard isGRPC else { return false }
        if let value = responseTrailers.value(of: .grpcStatus), value.count > 0 {
            form.append(value: value, to: sink)
        } else if let field, field.count > 0 {
            form.append(value: field, to: sink)
        } else if info.status > 0 {
            form.append(GRPCStatus(httpStatus: info.status), to: sink)
        } else {
            return false
        }
        return true
    }
}
