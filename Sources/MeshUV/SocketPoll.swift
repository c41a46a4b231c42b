// SPDX-License-Identifier: Apache-2.0
import CLinux

/// Readiness of one descriptor, level-triggered, in the loop's own epoll set.
///
/// Invariants:
/// - the owner is retained from `init` until `close`, and after that until the events of the turn have been handled;
/// - changing the interest costs one epoll_ctl call, so it is done only where events would spin or be missed.
struct SocketPoll: ~Copyable {
    /// Who is called: both kinds are final classes, so a bit tells them apart and the call costs no look-up.
    enum Owner {
        case stream(UVStream)
        case listener(UVListener)
    }

    private let loop: Unmanaged<UVLoop>
    private let set: Int32
    private let descriptor: Int32
    private var token: UInt64
    private var isAdded = false
    /// Events asked for; errors come also with none.
    private(set) var interest: Int32 = 0

    init(loop: UVLoop, descriptor: Int32, owner: Owner) {
        self.loop = Unmanaged.passUnretained(loop)
        set = loop.epoll
        self.descriptor = descriptor
        token = loop.register(owner)
    }

    /// Asks for `events`.
    mutating func want(_ events: Int32) {
        if isAdded, events == interest { return }
        interest = events
        let bits = UInt32(bitPattern: events)
        if isAdded {
            _ = apus_epoll_change(set, descriptor, bits, token)
        } else {
            isAdded = apus_epoll_add(set, descriptor, bits, token) >= 0
        }
    }

    /// See `ByteStream.settle`.
    mutating func settle() {
        let settled = loop._withUnsafeGuaranteedRef { $0.settle(token) }
        guard settled != token else { return }
        token = settled
        if isAdded { _ = apus_epoll_change(set, descriptor, UInt32(bitPattern: interest), token) }
    }

    /// Reports nothing any more, not even errors.
    mutating func stop() {
        interest = 0
        guard isAdded else { return }
        isAdded = false
        _ = apus_epoll_remove(set, descriptor)
    }

    /// Stops for good; the descriptor is closed right after, which takes it out of the set.
    ///
    /// - Parameter isShared: the same socket is open under another number, so closing this one would leave it in.
    consuming func close(isShared: Bool = false) {
        if isShared { stop() }
        loop._withUnsafeGuaranteedRef { $0.unregister(token) }
    }
}

/// The bits of epoll events.
enum PollEvent {
    static let readable = Int32(APUS_READABLE)
    static let writable = Int32(APUS_WRITABLE)
    static let disconnect = Int32(APUS_DISCONNECT)
    static let hangUp = Int32(APUS_HANG_UP)
    static let error = Int32(APUS_ERROR)
}
