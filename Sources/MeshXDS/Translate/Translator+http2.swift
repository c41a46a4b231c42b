// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    /// HTTP/2 options of either side; ranges are checked before, by the rules of the API.
    ///
    /// - Parameter managerStreamError: the manager's `stream_error_on_invalid_http_message`, where it is set.
    func http2Options(
        _ message: Envoy_Config_Core_V3_Http2ProtocolOptions, managerStreamError: Bool? = nil
    ) -> HTTP2Options {
        var options = HTTP2Options()
        if message.hasHpackTableSize { options.hpackTableSize = message.hpackTableSize.value }
        if message.hasMaxConcurrentStreams { options.maxConcurrentStreams = message.maxConcurrentStreams.value }
        if message.hasInitialStreamWindowSize { options.initialStreamWindow = message.initialStreamWindowSize.value }
        if message.hasInitialConnectionWindowSize {
            options.initialConnectionWindow = message.initialConnectionWindowSize.value
        }
        options.allowsConnect = message.allowConnect
        if message.hasMaxOutboundFrames { options.maxOutboundFrames = message.maxOutboundFrames.value }
        if message.hasMaxOutboundControlFrames {
            options.maxOutboundControlFrames = message.maxOutboundControlFrames.value
        }
        if message.hasMaxConsecutiveInboundFramesWithEmptyPayload {
            options.maxConsecutiveEmptyFrames = message.maxConsecutiveInboundFramesWithEmptyPayload.value
        }
        if message.hasMaxInboundPriorityFramesPerStream {
            options.maxPriorityFramesPerStream = message.maxInboundPriorityFramesPerStream.value
        }
        if message.hasMaxInboundWindowUpdateFramesPerDataFrameSent {
            options.maxWindowUpdatesPerDataFrame = message.maxInboundWindowUpdateFramesPerDataFrameSent.value
        }
        options.streamErrorOnInvalidMessage =
            message.hasOverrideStreamErrorOnInvalidHTTPMessage
            ? message.overrideStreamErrorOnInvalidHTTPMessage.value
            : managerStreamError ?? message.streamErrorOnInvalidHTTPMessaging
        if message.hasConnectionKeepalive { options.keepalive = keepalive(message.connectionKeepalive) }
        return options
    }

    private func keepalive(_ message: Envoy_Config_Core_V3_KeepaliveSettings) -> HTTP2Keepalive {
        var keepalive = HTTP2Keepalive(timeout: message.timeout.duration)
        keepalive.interval = message.interval.timeout
        if message.hasIntervalJitter { keepalive.jitterPercent = message.intervalJitter.value }
        keepalive.idleInterval = message.connectionIdleInterval.timeout
        return keepalive
    }
}
