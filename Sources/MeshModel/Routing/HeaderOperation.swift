// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// One header removal or setting in a table.
struct HeaderOperation: BitwiseCopyable {
    var kind = Kind.remove
    var keepEmptyValue = false
    var name = HeaderName()
    /// The value when it is the same for all requests, else nil is not empty text but `format`.
    var literal = TableRange()
    /// Not retained: the table keeps it alive. Nil for a literal.
    var format: Unmanaged<FormatTemplate>?

    enum Kind: UInt8 { case remove, appendOrAdd, addIfAbsent, overwriteOrAdd, overwriteIfPresent }
}

/// A value that was evaluated and waits to be written.
struct StagedValue: BitwiseCopyable {
    var operation: Int32 = 0
    var start: Int32 = 0
    var count: Int32 = 0
}
