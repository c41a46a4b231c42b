// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A proxy that was found on the machine.
struct FoundProxy {
    let choice: ProxyChoice
    let path: String
    let version: String
}

/// The proxies that were asked for, as far as the machine has them.
struct ProxyInventory {
    private(set) var found: [FoundProxy] = []
    /// Those that are not there, with how to get them.
    private(set) var missing: [String] = []

    /// Looks for them, makes the folder for everything that is written, and raises the limit of descriptors.
    /// - Throws: `ScenarioError` when none of them is there, or a binary that was named is none.
    init(_ choices: [ProxyChoice], folder: String, cpu: Int) throws(ScenarioError) {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw ScenarioError("\(folder): cannot be made: \(error)")
        }
        Machine.raiseDescriptorLimit()
        let search = Machine.search
        for choice in choices {
            guard let path = try search.find(choice) else {
                missing.append("\(choice.label) was not found: \(choice.kind.howToGet)")
                continue
            }
            let output = try ChildProcess.output(of: [path, choice.kind.versionFlag], cpu: cpu, log: folder + "/version.log")
            found.append(FoundProxy(choice: choice, path: path, version: Machine.version(output)))
        }
        if found.isEmpty { throw ScenarioError("none of the proxies is on this machine.\n  " + missing.joined(separator: "\n  ")) }
    }

    var participants: [ComparisonParticipant] {
        found.map { ComparisonParticipant(label: $0.choice.label, kind: $0.choice.kind, path: $0.path, version: $0.version) }
    }
}
