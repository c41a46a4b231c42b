// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshStats

extension CompiledListener {
    /// The slot of the chain for a connection; nil when it is for none and there is no default.
    func chain(for facts: ConnectionFacts) -> ChainID? {
        let position = matcher.chain(for: facts)
        return position >= 0 && position < chains.count ? chains[position] : defaultChain
    }
}
