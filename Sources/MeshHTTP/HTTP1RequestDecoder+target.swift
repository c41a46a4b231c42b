// SPDX-License-Identifier: Apache-2.0
import MeshIO

extension HTTP1RequestDecoder {
    /// Takes the target apart into `:path`, `:scheme` and, where it names one, `:authority` (RFC 9112 §3.2).
    ///
    /// `target` is not empty and holds visible ASCII only.
    func readTarget(
        _ target: UnsafeRawBufferPointer, end: UnsafePointer<UInt8>, head: inout RequestHead, pool: SlabPool
    ) -> HTTP1Failure {
        var path = target
        // Nearly every request: origin form.
        if target[0] == UInt8(ascii: "/"), head.method != .connect, !hasFragment {
            let start = target.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
            let stored = head.headers.appendKnown(.path, ":path", value: start, valueLength: target.count, end: end, from: pool)
                && head.headers.appendConstant(.scheme, ":scheme: http\r\n", nameLength: 7, from: pool)
            return stored ? .none : .headTooLarge
        }
        if head.method == .connect {
            // Authority form, and nothing else.
            guard Authority.isValidWithPort(target) else { return .badURL }
            return head.headers.append(.authority, target, from: pool) ? .none : .headTooLarge
        }
        var scheme: StaticString = "http"
        if target[0] != UInt8(ascii: "/") {
            if target.equals("*") {
                guard head.method == .options else { return .badURL }
            } else {
                guard let schemeEnd = schemeLength(target) else { return .malformedTarget }
                head.isAbsoluteForm = true
                if options.allowsAbsoluteForm {
                    let name = UnsafeRawBufferPointer(rebasing: target[..<schemeEnd])
                    if name.equalsIgnoringCase("https") {
                        scheme = "https"
                    } else if !name.equalsIgnoringCase("http") {
                        return .badScheme
                    }
                    let rest = UnsafeRawBufferPointer(rebasing: target[(schemeEnd &+ 3)...])
                    let split = authorityLength(rest)
                    let authority = UnsafeRawBufferPointer(rebasing: rest[..<split])
                    guard authority.count > 0 else { return .badURL }
                    guard Authority.isValid(authority) else { return .badHost }
                    guard head.headers.append(.authority, authority, from: pool) else { return .headTooLarge }
                    path = UnsafeRawBufferPointer(rebasing: rest[split...])
                }
            }
        }
        if options.stripsFragment, hasFragment, let hash = path.firstIndex(of: UInt8(ascii: "#")) {
            path = UnsafeRawBufferPointer(rebasing: path[..<hash])
        }
        guard storePath(path, isWhole: path.count == target.count, end: end, head: &head, pool: pool) else {
            return .headTooLarge
        }
        let stored = head.headers.appendKnown(
            .scheme, ":scheme", value: scheme.utf8Start, valueLength: scheme.utf8CodeUnitCount,
            end: scheme.utf8Start + scheme.utf8CodeUnitCount, from: pool)
        return stored ? .none : .headTooLarge
    }

    private func storePath(
        _ path: UnsafeRawBufferPointer, isWhole: Bool, end: UnsafePointer<UInt8>, head: inout RequestHead, pool: SlabPool
    ) -> Bool {
        if let start = path.baseAddress?.assumingMemoryBound(to: UInt8.self), path.count > 0,
            isWhole || path[0] == UInt8(ascii: "/")
        {
            return head.headers.appendKnown(.path, ":path", value: start, valueLength: path.count, end: end, from: pool)
        }
        // Absolute form without a path is the root; with only a query it is the root's query (RFC 9112 §3.2.1).
        guard path.count > 0 else { return head.headers.append(.path, "/", from: pool) }
        return withUnsafeTemporaryAllocation(byteCount: path.count &+ 1, alignment: 1) { buffer in
            buffer[0] = UInt8(ascii: "/")
            UnsafeMutableRawBufferPointer(rebasing: buffer[1...]).copyMemory(from: path)
            return head.headers.append(.path, UnsafeRawBufferPointer(buffer), from: pool)
        }
    }

    /// Bytes of the scheme where `://` follows it; nil for a target that is no absolute form.
    private func schemeLength(_ target: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        while index < target.count, isSchemeByte(target[index]) { index &+= 1 }
        guard index > 0, target.count &- index >= 3, target[index] == UInt8(ascii: ":"),
            target[index &+ 1] == UInt8(ascii: "/"), target[index &+ 2] == UInt8(ascii: "/")
        else { return nil }
        return index
    }

    private func isSchemeByte(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "+")
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }

    private func authorityLength(_ rest: UnsafeRawBufferPointer) -> Int {
        var index = 0
        while index < rest.count, rest[index] != UInt8(ascii: "/"), rest[index] != UInt8(ascii: "?"),
            rest[index] != UInt8(ascii: "#")
        {
            index &+= 1
        }
        return index
    }
}
