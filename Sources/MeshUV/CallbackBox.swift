// SPDX-License-Identifier: Apache-2.0

/// How a libuv handle refers to its Swift object: `data` holds one counted reference from `uv_*_init` until the close
/// callback, because libuv may touch the handle's memory until then.
enum CallbackBox {
    /// Adds the handle's reference to `object`.
    static func retain(_ object: AnyObject) -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(object).toOpaque()
    }

    /// Drops the handle's reference; called in the close callback only.
    static func release(_ data: UnsafeMutableRawPointer?) {
        guard let data else { return }
        Unmanaged<AnyObject>.fromOpaque(data).release()
    }

    /// Calls `body` with the object without counting; the handle's reference keeps it alive.
    @inline(__always)
    static func with<Object: AnyObject>(
        _ data: UnsafeMutableRawPointer?, as type: Object.Type, _ body: (Object) -> Void
    ) {
        guard let data else { return }
        Unmanaged<Object>.fromOpaque(data)._withUnsafeGuaranteedRef(body)
    }
}
