// SPDX-License-Identifier: Apache-2.0
import CLinux
import CUV

/// Readiness of one descriptor, by `uv_poll_t`.
///
/// Invariants:
/// - `data` holds one reference to the owner from `init` until libuv's close callback, which also frees the handle;
/// - changing the interest costs two epoll_ctl calls, so it is done only where the events would spin or are missed.
struct SocketPoll: ~Copyable {
    private let handle: UnsafeMutablePointer<uv_poll_t>
    private let callback: uv_poll_cb
    /// Events asked for; 0 still reports errors.
    private(set) var interest: Int32 = 0

    /// Nil when libuv refuses the descriptor (out of memory, or not a socket).
    ///
    /// - Parameter callback: leads back to `owner.onReady` (a C function cannot be generic, so each kind has its own).
    init?(loop: UVLoop, descriptor: Int32, owner: any LoopHandle, callback: @escaping uv_poll_cb) {
        let handle = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        guard uv_poll_init(loop.uv, handle, descriptor) == 0 else {
            handle.deallocate()
            return nil
        }
        handle.pointee.data = CallbackBox.retain(owner)
        self.handle = handle
        self.callback = callback
    }

    /// Asks for `events`. With none, UV_PRIORITIZED stands in: TCP never reports it unasked, but EPOLLERR and EPOLLHUP
    /// come with any interest.
    mutating func want(_ events: Int32) {
        guard events != interest else { return }
        start(events)
    }

    /// Like `want`, also when `events` is what was asked for before: after an error libuv has stopped the poll.
    mutating func start(_ events: Int32) {
        interest = events
        uv_poll_start(handle, events == 0 ? PollEvent.priority : events, callback)
    }

    /// Reports nothing any more, not even errors.
    mutating func stop() {
        interest = 0
        uv_poll_stop(handle)
    }

    /// Stops for good. The descriptor may be closed right after.
    consuming func close() {
        uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            guard let handle else { return }
            CallbackBox.release(handle.pointee.data)
            UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_poll_t.self).deallocate()
        }
    }
}

/// The bits of `uv_poll_event` as libuv's functions take them.
enum PollEvent {
    static let readable = Int32(UV_READABLE.rawValue)
    static let writable = Int32(UV_WRITABLE.rawValue)
    static let disconnect = Int32(UV_DISCONNECT.rawValue)
    static let priority = Int32(UV_PRIORITIZED.rawValue)
}
