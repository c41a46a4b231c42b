// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// Bytes fixed when configuration was compiled, readable from every worker without counting or copying.
// Sendable because the memory is written once in init and freed in deinit only.
package final class ConstantBytes: @unchecked Sendable {
    /// Valid while this object lives.
    package let bytes: UnsafeRawBufferPointer

    package init(_ text: String) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(text.utf8.count, 1), alignment: 1)
        memory.copyBytes(from: text.utf8)
        bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<text.utf8.count])
    }

    package init(_ source: [UInt8]) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(source.count, 1), alignment: 1)
        memory.copyBytes(from: source)
        bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<source.count])
    }

    deinit { bytes.deallocate() }
}
