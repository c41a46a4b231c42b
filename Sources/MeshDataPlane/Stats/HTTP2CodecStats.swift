// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshModel
package import MeshStats

/// HTTP/2 codec events. Scope `http2.` for the downstream side of the process, `cluster.<name>.http2.` for an upstream.
package struct HTTP2CodecStats: StatGroup {
    let droppedUnderscores: CounterID
    let rejectedUnderscores: CounterID
    let headerOverflow: CounterID
    let headerListTooLarge: CounterID
    let emptyFramesFlood: CounterID
    let priorityFlood: CounterID
    let windowUpdateFlood: CounterID
    let outboundControlFlood: CounterID
    let outboundFlood: CounterID
    let messagingError: CounterID
    let resetReceived: CounterID
    let resetSent: CounterID
    let trailers: CounterID
    let goAwaySent: CounterID
    let keepAliveTimeout: CounterID
    let streamsActive: GaugeID
    let downstreamConnections: CounterID
    let upstreamConnections: CounterID

    package init(in scope: inout StatScope) {
        droppedUnderscores = scope.counter("dropped_headers_with_underscores", "Header fields dropped for an underscore.")
        rejectedUnderscores = scope.counter(
            "requests_rejected_with_underscores_in_headers", "Requests refused for an underscore in a header name.")
        headerOverflow = scope.counter("header_overflow", "Streams reset for too many header fields.")
        headerListTooLarge = scope.counter("header_list_size_too_large", "Streams reset for too many header bytes.")
        emptyFramesFlood = scope.counter("inbound_empty_frames_flood", "Connections closed for empty frames.")
        priorityFlood = scope.counter("inbound_priority_frames_flood", "Connections closed for PRIORITY frames.")
        windowUpdateFlood = scope.counter(
            "inbound_window_update_frames_flood", "Connections closed for WINDOW_UPDATE frames.")
        outboundControlFlood = scope.counter(
            "outbound_control_flood", "Connections closed for control frames that wait to be sent.")
        outboundFlood = scope.counter("outbound_flood", "Connections closed for frames that wait to be sent.")
        messagingError = scope.counter("rx_messaging_error", "Invalid messages received.")
        resetReceived = scope.counter("rx_reset", "RST_STREAM frames received.")
        resetSent = scope.counter("tx_reset", "RST_STREAM frames sent.")
        trailers = scope.counter("trailers", "Trailers received.")
        goAwaySent = scope.counter("goaway_sent", "GOAWAY frames sent.")
        keepAliveTimeout = scope.counter("keepalive_timeout", "Connections closed because a PING was not answered.")
        streamsActive = scope.gauge("streams_active", "Streams open.")
        downstreamConnections = scope.counter("nghttp2_downstream_connections", "Connections of clients.")
        upstreamConnections = scope.counter("nghttp2_upstream_connections", "Connections to upstreams.")
    }

    /// The counter of a failure; nil for one that Envoy does not count.
    func counter(of failure: HTTP2Failure) -> CounterID? {
        switch failure {
        case .invalidHeaderField, .messagingError, .tooManyInformationalHeads: messagingError
        case .headerOverflow: headerListTooLarge
        case .tooManyHeaders: headerOverflow
        case .underscore: rejectedUnderscores
        case .inboundEmptyFramesFlood, .inboundTinyFramesFlood: emptyFramesFlood
        case .inboundPriorityFlood: priorityFlood
        case .inboundWindowUpdateFlood: windowUpdateFlood
        case .outboundControlFlood: outboundControlFlood
        case .outboundFlood: outboundFlood
        case .none, .refused, .tooManyPrematureResets, .inboundContinuationFlood, .connectionError, .badPreface,
            .internalError:
            nil
        }
    }
}
