// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshRegex

/// The memory of evaluations, one for each thread: it grows to what expressions need and stays.
package final class CELScratch {
    /// Texts made while evaluating.
    let text = ByteSink(capacity: 512)
    /// Members of lists and maps.
    var values: ContiguousArray<CELValue> = []
    /// This thread's compiled patterns, by `CELProgram.Pattern.number`.
    private var regexes: ContiguousArray<Regex?> = []
    /// Who this proxy is.
    let node: NodeIdentity

    /// Headers that are being changed, so that their owner cannot be asked for them; set for one evaluation.
    var ownHeaders: FormatHeaders?
    var ownBlock: UnsafePointer<HeaderBlock>?

    package init(node: NodeIdentity = NodeIdentity()) { self.node = node }

    /// Before an evaluation.
    func begin() {
        text.removeAll()
        values.removeAll(keepingCapacity: true)
    }

    func regex(_ pattern: CELProgram.Pattern) -> Regex? {
        while regexes.count <= pattern.number { regexes.append(nil) }
        if regexes[pattern.number] == nil { regexes[pattern.number] = Regex(pattern.program) }
        return regexes[pattern.number]
    }
}

@available(*, unavailable)
extension CELScratch: Sendable {}
