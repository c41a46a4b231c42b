// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Objects of tests that live until the process ends.
///
/// A worker, its streams and its listeners know each other for as long as there is a process, and most tests leave them so.
/// From here they can be found, and so the leak checker reports what nobody can find any more: a connection that ended and
/// was not let go of, memory of OpenSSL or nghttp2, a slab.
package enum TestRoots {
    /// As numbers, in which the leak checker sees the addresses they are.
    private static let addresses = Mutex<[UInt]>([])

    /// Holds `object` for good.
    package static func keep(_ object: AnyObject) {
        let address = UInt(bitPattern: Unmanaged.passRetained(object).toOpaque())
        addresses.withLock { $0.append(address) }
    }
}
