// SPDX-License-Identifier: Apache-2.0
package import MeshTLS

/// The files that TLS contexts in force were made of, and when they last looked different.
///
/// Certificates are renewed by replacing files. Control asks `changed` about once a second: a few system calls for a few
/// files, where notifications would have to follow every link of a mounted secret.
struct TLSFileWatch {
    private var stamps: [String: FileStamp] = [:]

    /// Watches exactly `files`. One that is new counts as seen now.
    mutating func watch(_ files: Set<String>) {
        stamps = stamps.filter { files.contains($0.key) }
        for file in files where stamps[file] == nil { stamps[file] = FileStamp(file) }
    }

    var isEmpty: Bool { stamps.isEmpty }

    /// Files that changed since the last call.
    mutating func changed() -> Set<String> {
        var changed: Set<String> = []
        for (file, stamp) in stamps {
            let now = FileStamp(file)
            guard now != stamp else { continue }
            stamps[file] = now
            changed.insert(file)
        }
        return changed
    }
}

/// What came of one look at the files.
package struct TLSReloadOutcome: Equatable, Sendable {
    /// Chains and clusters that have a new context, in words.
    package var updated: [String] = []
    /// Those that keep the last good one, each with the reason.
    package var refused: [String] = []
}

/// The certificates of one context in force, for `/certs`.
package struct ContextCertificates: Equatable, Sendable {
    package let trusted: [CertificateDetails]
    package let own: [CertificateDetails]
}
