// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// Bytes of a string while an expression is evaluated: of the program, of a header, or of the evaluation's scratch text.
package struct CELText: BitwiseCopyable {
    /// Nil for the scratch text, which may move while it grows.
    let base: UnsafeRawPointer?
    /// In the scratch text.
    let start: Int
    let count: Int

    init(_ bytes: UnsafeRawBufferPointer) {
        // An empty buffer may have no address, which would mean the scratch text: no matter, there is nothing to read.
        base = bytes.baseAddress
        start = 0
        count = bytes.count
    }

    /// - Parameter start: where it begins in the scratch text.
    init(scratch start: Int, count: Int) {
        base = nil
        self.start = start
        self.count = count
    }
}

/// What an expression is made of while it is evaluated. No case holds a reference: a value lives as long as its evaluation.
package enum CELValue: BitwiseCopyable {
    /// Any of CEL's errors, such as an attribute that is not there. `&&`, `||` and `?:` may absorb it.
    case error
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case string(CELText)
    case bytes(CELText)
    /// - Unit: nanoseconds. What does not fit, 292 years, is an error.
    case duration(Int64)
    /// Since 1970.
    case timestamp(seconds: Int64, nanoseconds: Int32)
    case type(CELType)
    /// So many values of the scratch memory.
    case list(start: Int32, count: Int32)
    /// So many pairs of key and value in the scratch memory.
    case map(start: Int32, count: Int32)
    /// A list or an object of metadata.
    case tree(Unmanaged<MetadataTree>, Int32)
    /// A message `envoy.config.core.v3.Metadata`.
    case metadata(Unmanaged<MetadataTree>)
    /// `request`, `connection` and their like.
    case group(CELGroup)
    case headers(FormatHeaders)

    /// Its type; nil for an error.
    var type: CELType? {
        switch self {
        case .error: nil
        case .null: .null
        case .bool: .bool
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .string: .string
        case .bytes: .bytes
        case .duration: .duration
        case .timestamp: .timestamp
        case .type: .type
        case .list: .list
        case .map, .group, .headers: .map
        case .tree(let tree, let index): tree._withUnsafeGuaranteedRef { $0.nodes[Int(index)].kind == .list } ? .list : .map
        case .metadata: .message
        }
    }
}

/// The types of CEL that an expression may name or meet.
package enum CELType: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    case null, bool, int, uint, double, string, bytes, duration, timestamp, type, list, map, message

    /// The name in an expression; nil for those that have none there.
    var name: StaticString? {
        switch self {
        case .null: "null_type"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .type: "type"
        case .list: "list"
        case .map: "map"
        case .duration, .timestamp, .message: nil
        }
    }
}
