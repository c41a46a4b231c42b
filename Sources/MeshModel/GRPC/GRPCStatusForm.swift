// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// How `%GRPC_STATUS(…)%` writes a status.
package enum GRPCStatusForm: Sendable {
    case camel, snake, number

    /// - Parameter argument: what stands between the parentheses; nothing is `CAMEL_STRING`. Nil for any other word.
    package init?(argument: UnsafeRawBufferPointer) {
        if argument.isEmpty || argument.equals("CAMEL_STRING") {
            self = .camel
        } else if argument.equals("SNAKE_STRING") {
            self = .snake
        } else if argument.equals("NUMBER") {
            self = .number
        } else {
            return nil
        }
    }

    /// The form a command asks for; nil for one that asks for no status.
    package init?(_ command: FormatCommand, argument: UnsafeRawBufferPointer) {
        switch command {
        case .grpcStatus: self.init(argument: argument)
        case .grpcStatusNumber: self = .number
        default: return nil
        }
    }

    /// Appends the name of a `grpc-status` field's value: its number where it has no name, `-1` where it is no number.
    package func append(value: UnsafeRawBufferPointer, to sink: ByteSink) {
        guard let number = DecimalText.parse(value) else {
            sink.append("-1")
            return
        }
        if let known = UInt8(exactly: number).flatMap(GRPCStatus.init(rawValue:)) {
            append(known, to: sink)
        } else {
            sink.append(decimal: number)
        }
    }

    package func append(_ status: GRPCStatus, to sink: ByteSink) {
        switch self {
        case .camel: sink.append(status.camelName)
        case .snake: sink.append(status.snakeName)
        case .number: sink.append(decimal: UInt64(status.rawValue))
        }
    }
}
