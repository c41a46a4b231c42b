// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshHTTP

// `int()`, `double()` and their like.
extension CELEvaluator {
    func converted(_ value: CELValue, _ function: CELFunction) -> CELValue {
        switch function {
        case .toInt: int(value)
        case .toUint: uint(value)
        case .toDouble: double(value)
        case .toBool: bool(value)
        case .toBytes:
            switch value {
            case .string(let text), .bytes(let text): .bytes(text)
            default: .error
            }
        case .toDuration:
            switch value {
            case .string(let text): CivilTime.duration(bytes(text))
            case .duration: value
            default: .error
            }
        case .toTimestamp:
            switch value {
            case .string(let text): CivilTime.timestamp(bytes(text))
            case .int(let seconds): CivilTime.timestamp(seconds: seconds, nanoseconds: 0)
            case .timestamp: value
            default: .error
            }
        default: .error
        }
    }

    private func int(_ value: CELValue) -> CELValue {
        switch value {
        case .int: value
        case .uint(let number): Int64(exactly: number).map { .int($0) } ?? .error
        case .double(let number): Int64(exactly: number.rounded(.towardZero)).map { .int($0) } ?? .error
        case .timestamp(let seconds, _): .int(seconds)
        case .string(let text): Int64(trimmed(text)).map { .int($0) } ?? .error
        default: .error
        }
    }

    private func uint(_ value: CELValue) -> CELValue {
        switch value {
        case .uint: value
        case .int(let number): UInt64(exactly: number).map { .uint($0) } ?? .error
        case .double(let number): UInt64(exactly: number.rounded(.towardZero)).map { .uint($0) } ?? .error
        case .string(let text): UInt64(trimmed(text)).map { .uint($0) } ?? .error
        default: .error
        }
    }

    private func double(_ value: CELValue) -> CELValue {
        switch value {
        case .double: return value
        case .int(let number): return .double(Double(number))
        case .uint(let number): return .double(Double(number))
        case .string(let text):
            let trimmed = trimmed(text)
            guard !trimmed.isEmpty, !trimmed.utf8.contains(0), !trimmed.lowercased().hasPrefix("0x") else { return .error }
            var end: UnsafeMutablePointer<CChar>?
            return trimmed.withCString { start in
                let number = strtod(start, &end)
                return end.map { UnsafePointer($0) - start } == trimmed.utf8.count ? .double(number) : .error
            }
        default: return .error
        }
    }

    private func bool(_ value: CELValue) -> CELValue {
        switch value {
        case .bool: return value
        case .string(let text):
            switch String(decoding: bytes(text).prefix(8), as: UTF8.self) {
            case "1", "t", "T", "true", "TRUE", "True": return .bool(true)
            case "0", "f", "F", "false", "FALSE", "False": return .bool(false)
            default: return .error
            }
        default: return .error
        }
    }

    /// Without spaces around it. Only conversions of text make a string; more than this many bytes are no number.
    private func trimmed(_ text: CELText) -> String {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) }
        let bytes = bytes(text).prefix(64).drop(while: isSpace)
        guard text.count <= 64 else { return "" }
        let end = bytes.lastIndex { !isSpace($0) }
        return String(decoding: bytes[bytes.startIndex..<(end.map { $0 + 1 } ?? bytes.startIndex)], as: UTF8.self)
    }
}
