// SPDX-License-Identifier: Apache-2.0
import MeshRegex

extension StringMatcher {
    /// Compiles a regex once to see whether it can be.
    ///
    /// - Parameter maxProgramSize: largest RE2 program taken; nil takes all.
    /// - Throws: `ResourceError` with the path within the matcher.
    package func check(maxProgramSize: Int?) throws(ResourceError) {
        guard case .regex(let pattern) = pattern else { return }
        do throws(RegexError) {
            _ = try RegexProgram(pattern, maxProgramSize: maxProgramSize)
        } catch {
            throw ResourceError(path: "safe_regex.regex", found: error.description, allowed: "a regex that RE2 takes")
        }
    }
}
