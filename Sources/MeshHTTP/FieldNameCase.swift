// SPDX-License-Identifier: Apache-2.0
import MeshIO

/// How field names look on the wire. Source: `http_protocol_options.header_key_format`.
package enum FieldNameCase: UInt8, Sendable {
    case lower
    /// `Content-Type`: the first letter and each one behind a byte that is no letter or digit are capitals
    /// (`proper_case_words`).
    case proper
    /// As the sender wrote it, where the block kept that (`preserve_case`), else lower case.
    case original

    /// Turns a lower-case name, in place, into its proper case.
    static func capitalize(_ name: UnsafeMutablePointer<UInt8>, _ count: Int) {
        var startsWord = true
        for index in 0..<count {
            let byte = name[index]
            let isLetter = byte &- UInt8(ascii: "a") < 26
            if isLetter, startsWord { name[index] = byte & ~0x20 }
            startsWord = !isLetter && byte &- UInt8(ascii: "0") >= 10 && byte &- UInt8(ascii: "A") >= 26
        }
    }
}

extension HeaderField {
    /// The name as received stands right before its lower-case form.
    static var keepsCase: UInt8 { 2 }
    /// In an `:authority` that came as Host: bit 4 + n is set where the nth letter of `host` was a capital.
    static var hostCaseShift: UInt8 { 4 }
}

extension HeaderBlock {
    /// The name at `index` as its sender wrote it; the lower-case one where that was not kept.
    func originalName(at index: Int) -> UnsafeRawBufferPointer {
        let field = record(index).pointee
        let lower = name(at: index)
        guard field.flags & HeaderField.keepsCase != 0, let start = lower.baseAddress else { return lower }
        return UnsafeRawBufferPointer(start: start - lower.count, count: lower.count)
    }

    /// The capitals of the Host field that became `:authority`, as bits 0 to 3.
    var hostCase: UInt8 {
        let index = firstIndex(of: .authority)
        return index < 0 ? 0 : record(index).pointee.flags >> HeaderField.hostCaseShift
    }

    /// Notes how Host was written; `name` has four bytes.
    func noteHostCase(_ name: UnsafePointer<UInt8>) {
        let index = firstIndex(of: .authority)
        guard index >= 0 else { return }
        var bits: UInt8 = 0
        for letter in 0..<4 where name[letter] & 0x20 == 0 { bits |= 1 << UInt8(letter) }
        record(index).pointee.flags |= bits << HeaderField.hostCaseShift
    }
}
