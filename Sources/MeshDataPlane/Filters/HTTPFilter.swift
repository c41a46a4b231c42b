// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What a filter wants to happen next.
package enum FilterVerdict {
    /// Go on with the next filter.
    case `continue`
    /// Stop here until the filter calls `ActiveStream.resumeRequest` or `resumeResponse`. Body that arrives meanwhile is
    /// held up to the stream's buffer limit; then reading is paused, or, if the filter needs the whole body, refused.
    case pause
    /// Answer at once. The reply passes the response filters of the whole chain.
    case reply(LocalReply)
}

/// Which of a stream's phases a filter wants to see; the chain keeps a list per phase.
package struct FilterPhases: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let requestHead = FilterPhases(rawValue: 1)
    package static let requestBody = FilterPhases(rawValue: 2)
    package static let requestTrailers = FilterPhases(rawValue: 4)
    package static let responseHead = FilterPhases(rawValue: 8)
    package static let responseBody = FilterPhases(rawValue: 16)
    package static let responseTrailers = FilterPhases(rawValue: 32)
    /// The filter pauses until it has the whole request body: past the buffer limit the request is refused with 413.
    package static let needsWholeRequestBody = FilterPhases(rawValue: 64)
}

/// One HTTP filter on one stream (or, when it keeps no state, one for all streams of a worker).
///
/// Calls come in the order of the chain for requests and in reverse order for responses. A filter may read and change
/// the heads in place through the stream. Body slices are seen, not owned; changing a body is not offered yet.
package class HTTPFilter {
    package init() {}

    /// The phases the chain calls this filter for.
    package var phases: FilterPhases { [] }

    /// The request head is complete, normalised, and has its route.
    package func onRequestHead(_ stream: ActiveStream, endStream: Bool) -> FilterVerdict { .continue }
    package func onRequestBody(_ stream: ActiveStream, _ bytes: UnsafeRawBufferPointer, endStream: Bool) -> FilterVerdict {
        .continue
    }
    package func onRequestTrailers(_ stream: ActiveStream) -> FilterVerdict { .continue }

    /// A response head is about to be sent, from the upstream or made by the proxy.
    package func onResponseHead(_ stream: ActiveStream, endStream: Bool) -> FilterVerdict { .continue }
    package func onResponseBody(_ stream: ActiveStream, _ bytes: UnsafeRawBufferPointer, endStream: Bool) -> FilterVerdict {
        .continue
    }
    package func onResponseTrailers(_ stream: ActiveStream) -> FilterVerdict { .continue }

    /// The stream is over; cancel whatever is under way.
    package func onStreamEnd(_ stream: ActiveStream) {}
}
