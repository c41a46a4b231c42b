// SPDX-License-Identifier: Apache-2.0
import CUV

/// Readiness of a descriptor that somebody else opens and closes, told by libuv: for the few sockets of a library that
/// brings its own.
final class PollHandle: LoopHandle {
    private let handle: UnsafeMutablePointer<uv_poll_t>
    private let loop: Unmanaged<UVLoop>
    private var body: ((_ isReadable: Bool, _ isWritable: Bool) -> Void)?

    /// Nil when the descriptor cannot be polled. The handle keeps itself alive until `closeHandle`.
    init?(loop: UVLoop, descriptor: Int32, body: @escaping (_ isReadable: Bool, _ isWritable: Bool) -> Void) {
        handle = .allocate(capacity: 1)
        self.loop = Unmanaged.passUnretained(loop)
        self.body = body
        guard uv_poll_init(loop.uv, handle, descriptor) == 0 else {
            self.body = nil
            return nil
        }
        handle.pointee.data = CallbackBox.retain(self)
        loop.handlesChanged()
    }

    deinit { handle.deallocate() }

    /// Asks to be told when the descriptor can be read or written.
    func want(readable: Bool, writable: Bool) {
        let events = (readable ? Int32(UV_READABLE.rawValue) : 0) | (writable ? Int32(UV_WRITABLE.rawValue) : 0)
        uv_poll_start(handle, events) { handle, status, events in
            CallbackBox.with(handle?.pointee.data, as: PollHandle.self) {
                // An error is told by reading or writing.
                $0.body?(
                    status != 0 || events & Int32(UV_READABLE.rawValue) != 0,
                    status != 0 || events & Int32(UV_WRITABLE.rawValue) != 0)
            }
        }
        loop._withUnsafeGuaranteedRef { $0.handlesChanged() }
    }

    /// The descriptor may be closed right after this.
    func closeHandle() {
        guard body != nil else { return }
        body = nil
        uv_poll_stop(handle)
        loop._withUnsafeGuaranteedRef { $0.handlesChanged() }
        uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            CallbackBox.release(handle?.pointee.data)
        }
    }
}
