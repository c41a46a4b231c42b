// SPDX-License-Identifier: Apache-2.0

/// Counts frames that cost more than they carry (attack ledger 40–43).
struct FloodGuard {
    /// DATA frames with fewer bytes are tiny: each costs a record and a slice beside its bytes.
    static let tinyFrame = 256

    private var emptyRun: UInt32 = 0
    private var priorityFrames: UInt64 = 0
    private var windowUpdateFrames: UInt64 = 0
    private var dataFramesSent: UInt64 = 0
    /// Acknowledgements and resets that wait to be sent.
    private(set) var pendingControl = 0
    /// What the DATA frames that wait to be consumed are short of `tinyFrame`, over all streams.
    var tinyDebt = 0

    /// A frame that should carry something.
    mutating func receivedPayload(isEmpty: Bool, _ options: borrowing HTTP2Options) -> HTTP2Failure {
        guard isEmpty else {
            emptyRun = 0
            return .none
        }
        emptyRun &+= 1
        return emptyRun > options.maxConsecutiveEmptyFrames ? .inboundEmptyFramesFlood : .none
    }

    /// The allowance grows with the streams that are open now, not with those that ever were, so that opening and closing
    /// streams buys nothing.
    mutating func receivedPriority(activeStreams: Int, _ options: borrowing HTTP2Options) -> HTTP2Failure {
        priorityFrames &+= 1
        let allowed = UInt64(options.maxPriorityFramesPerStream) &* UInt64(activeStreams &+ 1)
        return priorityFrames > allowed ? .inboundPriorityFlood : .none
    }

    mutating func receivedWindowUpdate(activeStreams: Int, _ options: borrowing HTTP2Options) -> HTTP2Failure {
        windowUpdateFrames &+= 1
        // Envoy's formula: five for the connection, two for a stream, the rest by the DATA frames that they answer.
        let perData = UInt64(options.maxWindowUpdateFramesPerDataFrame)
        let allowed = 5 &+ 2 &* (UInt64(activeStreams) &+ perData &* dataFramesSent)
        return windowUpdateFrames > allowed ? .inboundWindowUpdateFlood : .none
    }

    /// A stream is gone, and the frames it may have had with it.
    mutating func streamClosed(_ options: borrowing HTTP2Options) {
        priorityFrames -= min(priorityFrames, UInt64(options.maxPriorityFramesPerStream))
        windowUpdateFrames -= min(windowUpdateFrames, 2)
    }

    mutating func sentData() { dataFramesSent &+= 1 }

    /// A frame that has to be answered, or a reset of ours.
    mutating func queuedControl(_ options: borrowing HTTP2Options) -> HTTP2Failure {
        pendingControl &+= 1
        return pendingControl > options.maxOutboundControlFrames ? .outboundControlFlood : .none
    }

    mutating func sentControl() { if pendingControl > 0 { pendingControl &-= 1 } }
}

/// Streams that were reset early, by the client or because of what it sent (attack ledger 35, 36), against all streams.
struct ResetBudget {
    private var closed: UInt32 = 0
    private var premature: UInt32 = 0

    /// A stream ended. Returns whether the connection is to be given up: as soon as half of the budget is premature, for
    /// then nothing that follows could bring the rest below half.
    mutating func streamEnded(isPremature: Bool, _ options: borrowing HTTP2Options) -> Bool {
        let budget = options.prematureResetTotalStreams
        guard budget > 0 else { return false }
        closed &+= 1
        if isPremature { premature &+= 1 }
        return isPremature && premature >= max(budget, closed) / 2
    }
}

/// The last streams that ended before the peer had finished with them: frames for those may still be on their way. What was
/// forgotten is remembered by its highest number, so that nothing is called wrong that may be right.
struct EarlyEnds {
    private var ids = InlineArray<16, Int32>(repeating: 0)
    private var next = 0
    private var highestForgotten: Int32 = 0

    mutating func insert(_ id: Int32) {
        highestForgotten = max(highestForgotten, ids[next])
        ids[next] = id
        next = (next &+ 1) & 15
    }

    func mayContain(_ id: Int32) -> Bool {
        if id <= highestForgotten { return true }
        for index in 0..<16 where ids[index] == id { return true }
        return false
    }
}
