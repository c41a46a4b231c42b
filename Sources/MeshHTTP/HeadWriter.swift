// SPDX-License-Identifier: Apache-2.0
import CBytes
import MeshIO

/// Writes a head into room reserved at the end of a stream's output. The caller states a bound that holds.
struct HeadWriter {
    private let start: UnsafeMutablePointer<UInt8>
    private let limit: UnsafeMutablePointer<UInt8>
    private var cursor: UnsafeMutablePointer<UInt8>
    private let names: FieldNameCase

    @inline(__always) init(_ stream: ByteStream, bound: Int, names: FieldNameCase = .lower) {
        self.names = names
        start = stream.reserve(bound &+ HeaderBlock.copySlack).assumingMemoryBound(to: UInt8.self)
        limit = start + bound
        cursor = start
    }

    /// Queues what was written, on the stream the writer was made with (which it does not hold: that would count it).
    @inline(__always) func commit(to stream: ByteStream) {
        precondition(cursor <= limit, "a head outgrew its bound")
        stream.commit(cursor - start)
    }

    @inline(__always) mutating func write(_ byte: UInt8) {
        cursor.pointee = byte
        cursor += 1
    }

    @inline(__always) mutating func write(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        apus_copy(cursor, source.assumingMemoryBound(to: UInt8.self), bytes.count)
        cursor += bytes.count
    }

    @inline(__always) mutating func write(_ text: StaticString) {
        cursor.update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        cursor += text.utf8CodeUnitCount
    }

    @inline(__always) mutating func writeLineEnd() {
        cursor[0] = 0x0D
        cursor[1] = 0x0A
        cursor += 2
    }

    /// Three digits; a status over 999 cannot come from a decoder and is cut.
    mutating func write(status: UInt16) {
        cursor[0] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: status / 100 % 10)
        cursor[1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: status / 10 % 10)
        cursor[2] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: status % 10)
        cursor += 3
    }

    mutating func write(decimal value: UInt64) {
        let room = UnsafeMutableRawBufferPointer(start: cursor, count: DecimalText.maxLength)
        cursor += DecimalText.write(value, to: room, at: 0)
    }

    /// Writes the start of a field of our own, `name: `, or `name: value` and more; `nameLength` bytes of it are the name.
    @inline(__always) mutating func write(field text: StaticString, nameLength: Int) {
        let place = cursor
        write(text)
        if names == .proper { FieldNameCase.capitalize(place, nameLength) }
    }

    /// `host: `, with the capitals it came with where they are to be kept.
    mutating func writeHostName(_ capitals: @autoclosure () -> UInt8) {
        let place = cursor
        write(field: "host: ", nameLength: 4)
        guard names == .original else { return }
        let bits = capitals()
        for letter in 0..<4 where bits >> UInt8(letter) & 1 != 0 { place[letter] &= ~0x20 }
    }

    mutating func writeFraming(_ framing: BodyFraming) {
        switch framing {
        case .none, .untilClose: break
        case .length(let length):
            write(field: "content-length: ", nameLength: 14)
            write(decimal: length)
            writeLineEnd()
        case .chunked: write(field: "transfer-encoding: chunked\r\n", nameLength: 17)
        }
    }

    /// Fields that are written as part of the start line, the framing, or the connection's life.
    private static var handled: UInt64 {
        bit(.method) | bit(.path) | bit(.authority) | bit(.scheme) | bit(.status) | bit(.protocol) | bit(.host)
            | bit(.contentLength) | bit(.transferEncoding) | bit(.connection)
    }

    private static func bit(_ token: HeaderToken) -> UInt64 { 1 &<< UInt64(token.rawValue) }

    /// Writes the live fields in order, without pseudo-headers and Host. Content-Length is written in its place from
    /// `framing`, or as it stands with `keepsDeclaredLength` (an answer to HEAD, 304).
    ///
    /// - Returns: whether Content-Length was written.
    mutating func writeFields(
        of headers: borrowing HeaderBlock, framing: BodyFraming, keepsDeclaredLength: Bool, keepsConnection: Bool
    ) -> Bool {
        guard headers.fieldCount > 0 else { return false }
        var handled = HeadWriter.handled
        if keepsConnection { handled &= ~HeadWriter.bit(.connection) }
        if names != .lower {
            return writeCasedFields(
                of: headers, handled: handled, framing: framing, keepsDeclaredLength: keepsDeclaredLength)
        }
        var wroteLength = false
        // Fields that follow each other in the block's memory, and have not been written yet: they go out together.
        var run = 0..<0
        var index = 0
        while index < headers.fieldCount {
            let field = headers.record(index).pointee
            index &+= 1
            if field.flags & HeaderField.removed != 0 { continue }
            if handled & (1 &<< UInt64(field.token)) != 0 {
                guard field.token == HeaderToken.contentLength.rawValue, !wroteLength else { continue }
                if case .length(let length) = framing {
                    wroteLength = true
                    if DecimalText.parse(headers.value(at: index &- 1)) != length {
                        write(run, of: headers)
                        run = 0..<0
                        writeFraming(framing)
                        continue
                    }
                } else {
                    guard keepsDeclaredLength, framing != .chunked else { continue }
                    wroteLength = true
                }
            }
            let start = Int(field.nameOffset)
            let end = Int(field.valueOffset) &+ Int(field.valueLength) &+ 2
            if field.flags & HeaderField.trimmed != 0 {
                write(run, of: headers)
                run = 0..<0
                writeField(headers.name(at: index &- 1), headers.value(at: index &- 1), of: headers)
            } else if start == run.upperBound {
                run = run.lowerBound..<end
            } else {
                write(run, of: headers)
                run = start..<end
            }
        }
        write(run, of: headers)
        return wroteLength
    }

    /// Writes fields that lie behind each other, as they are.
    @inline(__always) private mutating func write(_ run: Range<Int>, of headers: borrowing HeaderBlock) {
        guard run.upperBound > run.lowerBound else { return }
        let count = run.upperBound &- run.lowerBound
        // Sixteen bytes behind any field belong to the block: there is a record at its end.
        apus_copy_short(cursor, headers.bytes(at: run.lowerBound), count, .max)
        cursor += count
    }

    /// As `writeFields`, for names that are not written as the block has them.
    private mutating func writeCasedFields(
        of headers: borrowing HeaderBlock, handled: UInt64, framing: BodyFraming, keepsDeclaredLength: Bool
    ) -> Bool {
        var wroteLength = false
        var index = 0
        while index < headers.fieldCount {
            defer { index &+= 1 }
            guard headers.isLive(index) else { continue }
            let token = headers.token(at: index)
            if handled & (1 &<< UInt64(token.rawValue)) != 0 {
                guard token == .contentLength, !wroteLength else { continue }
                if case .length(let length) = framing {
                    if names == .original {
                        write(headers.originalName(at: index))
                        write(": ")
                        write(decimal: length)
                        writeLineEnd()
                    } else {
                        writeFraming(framing)
                    }
                    wroteLength = true
                    continue
                }
                guard keepsDeclaredLength, framing != .chunked else { continue }
                wroteLength = true
            }
            writeCasedField(of: headers, at: index)
        }
        return wroteLength
    }

    private mutating func writeCasedField(of headers: borrowing HeaderBlock, at index: Int) {
        let place = cursor
        let name = names == .original ? headers.originalName(at: index) : headers.name(at: index)
        writeField(name, headers.value(at: index), of: headers)
        if names == .proper { FieldNameCase.capitalize(place, name.count) }
    }

    /// Writes one field. Name and value lie in the block, where sixteen bytes behind any field can be read.
    private mutating func writeField(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, of headers: borrowing HeaderBlock
    ) {
        if let start = name.baseAddress {
            apus_copy_short(cursor, start.assumingMemoryBound(to: UInt8.self), name.count, .max)
            cursor += name.count
        }
        cursor[0] = 0x3A
        cursor[1] = 0x20
        cursor += 2
        if let start = value.baseAddress {
            apus_copy_short(cursor, start.assumingMemoryBound(to: UInt8.self), value.count, .max)
            cursor += value.count
        }
        writeLineEnd()
    }
}
