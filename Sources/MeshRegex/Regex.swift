// SPDX-License-Identifier: Apache-2.0
import CRE2

/// One thread's compiled RE2 pattern.
package final class Regex {
    private let handle: OpaquePointer

    /// A thread's own copy of a checked program. Nil only when memory for it cannot be had.
    package convenience init?(_ program: RegexProgram) {
        do throws(RegexError) {
            try self.init(pattern: program.pattern, isLatin1: program.isLatin1)
        } catch {
            return nil
        }
    }

    init(pattern: String, isLatin1: Bool) throws(RegexError) {
        var pattern = pattern
        var message = [CChar](repeating: 0, count: 256)
        let made = pattern.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                apus_regex_new($0.baseAddress, $0.count, isLatin1, &message, message.count)
            }
        }
        guard let made else {
            throw RegexError(String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        handle = made
    }

    deinit { apus_regex_delete(handle) }

    package var groupCount: Int { Int(apus_regex_group_count(handle)) }
    package var programSize: Int { Int(apus_regex_program_size(handle)) }

    func check(substitution: String) throws(RegexError) {
        var substitution = substitution
        var message = [CChar](repeating: 0, count: 256)
        let fits = substitution.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                apus_regex_check_substitution(handle, $0.baseAddress, $0.count, &message, message.count)
            }
        }
        guard fits else {
            throw RegexError(String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
    }

    /// Whether all of the text matches. Allocates nothing once the automaton is warm.
    package func matchesAll(of text: UnsafeRawBufferPointer) -> Bool {
        apus_regex_full_match(handle, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count)
    }

    /// Whether some part of the text matches.
    package func matchesPart(of text: UnsafeRawBufferPointer) -> Bool {
        apus_regex_search(handle, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count, 0, nil, 0)
    }

    /// First match at or after `start`; `groups[2 * n]` and `groups[2 * n + 1]` are where group n starts and ends, -1
    /// when it took no part. At most 16 groups are reported, group 0 being the whole match.
    package func search(
        _ text: UnsafeRawBufferPointer, from start: Int = 0, groups: UnsafeMutableBufferPointer<Int32>
    ) -> Bool {
        guard start >= 0 else { return false }
        return apus_regex_search(
            handle, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count, start, groups.baseAddress,
            Int32(groups.count / 2))
    }

    /// Gives `emit` the text with every match replaced; `\1` to `\9` in the substitution are captures, `\0` the match.
    /// Allocates: it is for the routes that rewrite by regex.
    package func replacingAll(
        in text: UnsafeRawBufferPointer, with substitution: UnsafeRawBufferPointer,
        emit: (UnsafeRawBufferPointer) -> Void
    ) {
        withoutActuallyEscaping(emit) { emit in
            var box = EmitBox(emit: emit)
            withUnsafeMutablePointer(to: &box) { pointer in
                apus_regex_replace_all(
                    handle, text.baseAddress?.assumingMemoryBound(to: CChar.self), text.count,
                    substitution.baseAddress?.assumingMemoryBound(to: CChar.self), substitution.count, pointer
                ) { context, bytes, count in
                    context?.assumingMemoryBound(to: EmitBox.self).pointee.emit(
                        UnsafeRawBufferPointer(start: bytes, count: count))
                }
            }
        }
    }

    private struct EmitBox {
        let emit: (UnsafeRawBufferPointer) -> Void
    }
}

@available(*, unavailable)
extension Regex: Sendable {}
