// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// The filters of one stream and what they hold back.
struct FilterChainState: ~Copyable {
    private var filters: ContiguousArray<HTTPFilter> = []
    /// Where the request, or the response, is held.
    var requestPausedAt = 0
    var responsePausedAt = 0
    var responseEndsWithHead = false
    var heldRequest = HeldBytes()
    var heldResponse = HeldBytes()
    var hasPausedDownstream = false

    var count: Int { filters.count }
    subscript(index: Int) -> HTTPFilter { filters[index] }

    /// Whether a filter wants the whole body before it goes on.
    var needsWholeRequest: Bool { filters.contains { $0.phases.contains(.needsWholeRequestBody) } }

    mutating func make(_ configs: [any HTTPFilterConfig], for stream: ActiveStream) {
        for config in configs {
            if let filter = config.makeFilter(stream) { filters.append(filter) }
        }
    }

    func end(_ stream: ActiveStream) {
        for filter in filters { filter.onStreamEnd(stream) }
    }

    mutating func reset() {
        if !filters.isEmpty { filters.removeAll(keepingCapacity: true) }
        if !heldRequest.isEmpty { heldRequest.removeAll() }
        if !heldResponse.isEmpty { heldResponse.removeAll() }
        hasPausedDownstream = false
        responseEndsWithHead = false
    }
}
