// SPDX-License-Identifier: Apache-2.0
import CUV

/// One signal that a loop listens to, until the loop closes.
final class SignalWatch: LoopHandle {
    private let handle: UnsafeMutablePointer<uv_signal_t>
    private var body: (() -> Void)?

    /// The handle keeps the watch alive; nobody else needs to.
    static func start(on loop: UVLoop, signal: Int32, body: @escaping () -> Void) {
        _ = SignalWatch(loop: loop, signal: signal, body: body)
    }

    private init(loop: UVLoop, signal: Int32, body: @escaping () -> Void) {
        handle = .allocate(capacity: 1)
        self.body = body
        precondition(uv_signal_init(loop.uv, handle) == 0, "no pipe for signals")
        handle.pointee.data = CallbackBox.retain(self)
        uv_signal_start(handle, { handle, _ in
            CallbackBox.with(handle?.pointee.data, as: SignalWatch.self) { $0.onSignal() }
        }, signal)
    }

    deinit { handle.deallocate() }

    private func onSignal() {
        body?()
    }

    func closeHandle() {
        guard body != nil else { return }
        body = nil
        uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            CallbackBox.release(handle?.pointee.data)
        }
    }
}
