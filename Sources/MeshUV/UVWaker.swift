// SPDX-License-Identifier: Apache-2.0
import CUV
import MeshIO
import Synchronization

/// Wakes a loop from any thread through `uv_async_send`.
///
/// Sendable because uv_async_send may be called from any thread while the handle is open, `isOpen` says under a lock
/// whether it is, and `body` is touched on the loop's thread only.
package final class UVWaker: Waker, LoopHandle, @unchecked Sendable {
    private let handle: UnsafeMutablePointer<uv_async_t>
    private let isOpen = Mutex(true)
    private var body: (() -> Void)?

    init(loop: UVLoop, body: @escaping () -> Void) {
        handle = .allocate(capacity: 1)
        self.body = body
        let status = uv_async_init(loop.uv, handle) { handle in
            CallbackBox.with(handle?.pointee.data, as: UVWaker.self) { $0.onWake() }
        }
        // The loop's eventfd exists since its first waker; without a descriptor for it no worker can run.
        precondition(status == 0, "no eventfd for the loop")
        handle.pointee.data = CallbackBox.retain(self)
    }

    deinit { handle.deallocate() }

    package func wake() {
        isOpen.withLock { isOpen in
            if isOpen { uv_async_send(handle) }
        }
    }

    private func onWake() {
        body?()
    }

    func closeHandle() {
        let wasOpen = isOpen.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        guard wasOpen else { return }
        body = nil
        uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            CallbackBox.release(handle?.pointee.data)
        }
    }
}
