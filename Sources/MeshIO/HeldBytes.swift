// SPDX-License-Identifier: Apache-2.0

/// An `OutputQueue` for bytes that most owners never hold: 8 bytes until the first append, which makes the queue. An owner
/// that is used again keeps it.
@frozen @usableFromInline package struct HeldBytes: ~Copyable {
    @usableFromInline var queue: UnsafeMutablePointer<OutputQueue>?

    @inlinable package init() { queue = nil }

    deinit {
        guard let queue else { return }
        queue.deinitialize(count: 1)
        queue.deallocate()
    }

    @inlinable package var isEmpty: Bool { queue == nil || byteCount == 0 }

    /// See `OutputQueue.byteCount`.
    @inlinable package var byteCount: Int { queue.map { $0.pointee.byteCount } ?? 0 }

    /// See `OutputQueue.pinnedBytes`.
    @inlinable package var pinnedBytes: Int { queue.map { $0.pointee.pinnedBytes } ?? 0 }

    /// See `OutputQueue.append`.
    package mutating func append(_ slice: consuming SlabSlice, from pool: SlabPool) {
        if queue == nil {
            let made = UnsafeMutablePointer<OutputQueue>.allocate(capacity: 1)
            made.initialize(to: OutputQueue())
            queue = made
        }
        queue.unsafelyUnwrapped.pointee.append(slice, from: pool)
    }

    /// Drops everything that is held.
    package mutating func removeAll() { queue?.pointee.removeAll() }

    /// See `OutputQueue.drain`.
    package mutating func drain(_ body: (consuming SlabSlice) -> Void) { queue?.pointee.drain(body) }

    /// See `OutputQueue.forEach`.
    package func forEach(_ body: (consuming SlabSlice) -> Void) { queue?.pointee.forEach(body) }
}
