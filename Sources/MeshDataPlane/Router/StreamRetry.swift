// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel

/// What a stream keeps for making its request again, and for the timeouts of each attempt.
struct StreamRetry: ~Copyable {
    /// There is something here to be taken back when the stream ends.
    var isUsed = false
    /// Another attempt may follow: there is a policy, the request can be repeated, no response has begun.
    var isEnabled = false
    /// There is no attempt: the next one begins when the timer fires.
    var isWaiting = false
    /// The attempt is not the first.
    var isRetry = false
    /// It follows on one that timed out.
    var followsTimeout = false
    var isHighPriority = false
    /// Of an attempt. - Unit: nanoseconds; 0 for none.
    var perTryTimeout: UInt64 = 0
    var perTryIdleTimeout: UInt64 = 0

    /// What only a stream with retries needs.
    struct Details: ~Copyable {
        var state = RetryState()
        /// The route's, in the table that the stream pins; nil where only the client's headers ask for retries.
        var policy: UnsafePointer<CompiledRetryPolicy>?
        /// Bytes of the body that are kept.
        var bodyLimit = Int.max
        var failed = FailedEndpoints()
        /// Which priorities the next attempt leaves out (`retry_priority`).
        var priorities = PreviousPriorities()
        /// What the client's headers add to the policy.
        var askedStatusCodes: ContiguousArray<UInt64> = []
        /// Names with a comma between them.
        var askedHeaderNames: ContiguousArray<UInt8> = []

        /// Ready for the next stream.
        mutating func reset() {
            state = RetryState()
            policy = nil
            bodyLimit = .max
            failed.removeAll()
            priorities = PreviousPriorities()
            if !askedStatusCodes.isEmpty { askedStatusCodes = [] }
            if !askedHeaderNames.isEmpty { askedHeaderNames = [] }
        }
    }

    private var made: UnsafeMutablePointer<Details>?

    /// Made when first asked for, and kept for the streams that use the object later.
    var details: UnsafeMutablePointer<Details> {
        mutating get {
            if let made { return made }
            let new = UnsafeMutablePointer<Details>.allocate(capacity: 1)
            new.initialize(to: Details())
            made = new
            return new
        }
    }

    deinit {
        guard let made else { return }
        made.deinitialize(count: 1)
        made.deallocate()
    }

    /// Ready for the next stream.
    mutating func reset() {
        guard isUsed else { return }
        isUsed = false
        isEnabled = false
        isWaiting = false
        isRetry = false
        followsTimeout = false
        isHighPriority = false
        perTryTimeout = 0
        perTryIdleTimeout = 0
        made?.pointee.reset()
    }

    /// Whether a header that the client named is on the response.
    func hasAskedHeader(_ headers: borrowing HeaderBlock) -> Bool {
        guard let made, !made.pointee.askedHeaderNames.isEmpty else { return false }
        return made.pointee.askedHeaderNames.withUnsafeBytes { names in
            var start = 0
            while start < names.count {
                var end = start
                while end < names.count, names[end] != UInt8(ascii: ",") { end += 1 }
                let name = UnsafeRawBufferPointer(rebasing: names[start..<end]).trimmed
                if name.count > 0, headers.firstIndex(named: name) >= 0 { return true }
                start = end + 1
            }
            return false
        }
    }
}

extension LocalReply {
    static var perTryTimeout: LocalReply {
        LocalReply(504, details: "upstream_per_try_timeout", flags: .upstreamRequestTimeout, body: "upstream request timeout")
    }
    static var perTryIdleTimeout: LocalReply {
        LocalReply(
            504, details: "upstream_per_try_idle_timeout", flags: .upstreamRequestTimeout, body: "upstream request timeout")
    }
    /// The body grew over what is kept of it while there was no attempt that could have taken it.
    static var retryBodyTooLarge: LocalReply {
        LocalReply(
            507, details: "request_payload_exceeded_retry_buffer_limit",
            body: "exceeded request buffer limit while retrying upstream")
    }
}
