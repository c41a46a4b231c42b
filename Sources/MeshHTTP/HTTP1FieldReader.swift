// SPDX-License-Identifier: Apache-2.0
import CBytes
import MeshIO

/// Reads field lines as they come: a finished line goes into the block at once and its bytes are done with; of an
/// unfinished one the reader remembers how far it has looked, so that every byte is looked at once however slowly a head
/// arrives.
///
/// Invariants: `mark` and `scanned` count from the start of the unfinished line, which is the first byte of the input of
/// the next call; `mark < scanned`.
struct HTTP1FieldReader {
    /// Bytes of finished lines of this message.
    var headBytes = 0
    /// Fields of this message so far, dropped ones included.
    var fieldCount = 0
    /// The separator in the unfinished line (the colon; in a request line the first space), -1 before it was seen.
    var mark = -1
    /// Bytes of the unfinished line known to be good.
    var scanned = 0
    /// Fields dropped for an underscore in their name.
    var droppedCount = 0
    /// Host fields seen.
    var hostCount = 0

    /// The line that was unfinished is finished; it had `length` bytes with its end.
    @inline(__always) mutating func finishLine(_ length: Int) {
        headBytes &+= length
        mark = -1
        scanned = 0
    }

    /// Remembers an unfinished line of `length` bytes. Fails when the head is over its limit.
    @inline(__always) mutating func suspend(mark: Int, scanned: Int, length: Int, _ limits: HTTP1Limits) -> HTTP1Failure {
        self.mark = mark
        self.scanned = scanned
        return headBytes &+ length > limits.maxHeadBytes ? .headTooLarge : .none
    }

    /// What fields to take and how.
    struct Rules {
        var underscores: UnderscoreAction
        /// Host becomes `:authority`; false for responses, where it is a field like any other.
        var hostIsAuthority: Bool
        /// Fields of framing and routing are refused (RFC 9110 §6.5.1).
        var isTrailers: Bool
        /// Trailers that are to be dropped are checked and not stored.
        var stores: Bool
        /// Names are stored as they came, too.
        var keepsCase = false

        static func requestHead(_ underscores: UnderscoreAction, keepsCase: Bool) -> Rules {
            Rules(
                underscores: underscores, hostIsAuthority: true, isTrailers: false, stores: true, keepsCase: keepsCase)
        }

        static func responseHead(_ underscores: UnderscoreAction, keepsCase: Bool) -> Rules {
            Rules(
                underscores: underscores, hostIsAuthority: false, isTrailers: false, stores: true, keepsCase: keepsCase)
        }

        static func trailers(_ underscores: UnderscoreAction, stores: Bool) -> Rules {
            Rules(underscores: underscores, hostIsAuthority: false, isTrailers: true, stores: stores)
        }
    }

    enum Outcome {
        case complete
        case needMore
        case failed(HTTP1Failure)
    }

    /// Reads lines from `position` on, up to and including the empty line.
    mutating func read(
        _ base: UnsafePointer<UInt8>, _ count: Int, position: inout Int, into block: inout HeaderBlock, limits: HTTP1Limits,
        rules: Rules, pool: SlabPool
    ) -> Outcome {
        let end = base + count
        while position < count {
            let line = base + position
            if line[0] == 0x0D {
                if position &+ 1 == count { return outcome(suspend(mark: -1, scanned: 0, length: 1, limits)) }
                guard line[1] == 0x0A else { return .failed(.bareLineEnd) }
                position &+= 2
                finishLine(2)
                return .complete
            }
            var field = apus_field_line()
            if scanned != 0 || apus_read_field_line(base, line, end, &field) == 0,
                let outcome = readPart(base, line, end, limits, into: &field)
            {
                return outcome
            }
            position &+= Int(field.line)
            let failure = take(field, line, end, into: &block, limits: limits, rules: rules, pool: pool)
            if failure != .none { return .failed(failure) }
        }
        return .needMore
    }

    /// Reads on in a line that is not all there, or not right. Returns nil when it is whole after all.
    @inline(never)
    private mutating func readPart(
        _ base: UnsafePointer<UInt8>, _ line: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, _ limits: HTTP1Limits,
        into field: inout apus_field_line
    ) -> Outcome? {
        var colon = mark
        var start = scanned
        if colon < 0 {
            colon = apus_scan_token(line + start, end) - line
            if line + colon == end { return outcome(suspend(mark: -1, scanned: colon, length: colon, limits)) }
            guard colon > 0, line[colon] == 0x3A else { return .failed(nameFailure(line, colon)) }
            start = colon &+ 1
        }
        let stop = apus_scan_value(base, line + start, end) - line
        if line + stop == end { return outcome(suspend(mark: colon, scanned: stop, length: stop, limits)) }
        guard line[stop] == 0x0D else { return .failed(.invalidCharacter) }
        if line + stop + 1 == end { return outcome(suspend(mark: colon, scanned: stop, length: stop &+ 1, limits)) }
        guard line[stop &+ 1] == 0x0A else { return .failed(.invalidCharacter) }
        var low = colon &+ 1
        var high = stop
        while low < high, line[low] == 0x20 || line[low] == 0x09 { low &+= 1 }
        while high > low, line[high &- 1] == 0x20 || line[high &- 1] == 0x09 { high &-= 1 }
        field = apus_field_line(
            name: UInt32(truncatingIfNeeded: colon), value: UInt32(truncatingIfNeeded: low),
            value_length: UInt32(truncatingIfNeeded: high &- low), line: UInt32(truncatingIfNeeded: stop &+ 2))
        return nil
    }

    /// Puts a finished line into the block, or drops or refuses it.
    @inline(__always)
    private mutating func take(
        _ field: apus_field_line, _ line: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, into block: inout HeaderBlock,
        limits: HTTP1Limits, rules: Rules, pool: SlabPool
    ) -> HTTP1Failure {
        finishLine(Int(field.line))
        fieldCount &+= 1
        if headBytes > limits.maxHeadBytes { return .headTooLarge }
        if fieldCount > limits.maxFields { return .tooManyFields }
        let nameLength = Int(field.name)
        if rules.underscores != .allow, hasUnderscore(line, nameLength) {
            if rules.underscores == .reject { return .underscore }
            droppedCount &+= 1
            return .none
        }
        if rules.isTrailers {
            if isForbiddenTrailer(line, nameLength) { return .badTrailer }
            if !rules.stores { return .none }
        }
        if rules.keepsCase, !block.storeOriginalName(line, nameLength, end: end, from: pool) { return .headTooLarge }
        let value = line + Int(field.value)
        let valueLength = Int(field.value_length)
        guard
            let token = block.appendScanned(
                name: line, nameLength: nameLength, value: value, valueLength: valueLength, end: end, from: pool)
        else { return .headTooLarge }
        if token == .host {
            let failure = storeHost(value, valueLength, end, into: &block, rules: rules, pool: pool)
            if failure != .none { return failure }
            if rules.keepsCase, rules.hostIsAuthority { block.noteHostCase(line) }
        } else if rules.keepsCase {
            block.markOriginalName()
        }
        return .none
    }

    @inline(__always) private func outcome(_ failure: HTTP1Failure) -> Outcome {
        failure == .none ? .needMore : .failed(failure)
    }

    /// Host of a request: checked, and kept as `:authority` unless the target brought one (RFC 9112 §3.2.2).
    private mutating func storeHost(
        _ value: UnsafePointer<UInt8>, _ length: Int, _ end: UnsafePointer<UInt8>, into block: inout HeaderBlock,
        rules: Rules, pool: SlabPool
    ) -> HTTP1Failure {
        guard rules.hostIsAuthority else {
            return block.append(.host, UnsafeRawBufferPointer(start: value, count: length), from: pool) ? .none : .headTooLarge
        }
        hostCount &+= 1
        if hostCount > 1 { return .duplicateHost }
        if !Authority.isValid(UnsafeRawBufferPointer(start: value, count: length)) { return .badHost }
        if block.contains(.authority) { return .none }
        let stored = block.appendKnown(.authority, ":authority", value: value, valueLength: length, end: end, from: pool)
        return stored ? .none : .headTooLarge
    }

    private func nameFailure(_ line: UnsafePointer<UInt8>, _ stop: Int) -> HTTP1Failure {
        switch line[stop] {
        case 0x20, 0x09: stop == 0 ? .lineFolding : .spaceBeforeColon
        case 0x0A: stop == 0 ? .bareLineEnd : .missingColon
        case 0x0D: .missingColon
        case 0x3A: .emptyName
        default: .badName
        }
    }

    private func hasUnderscore(_ name: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        var index = 0
        while index < length {
            if name[index] == UInt8(ascii: "_") { return true }
            index &+= 1
        }
        return false
    }

    private func isForbiddenTrailer(_ name: UnsafePointer<UInt8>, _ length: Int) -> Bool {
        let name = UnsafeRawBufferPointer(start: name, count: length)
        return name.equalsIgnoringCase("content-length") || name.equalsIgnoringCase("transfer-encoding")
            || name.equalsIgnoringCase("host") || name.equalsIgnoringCase("connection")
    }
}
