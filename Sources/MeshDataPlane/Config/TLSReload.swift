// SPDX-License-Identifier: Apache-2.0
package import MeshTLS

/// The files that TLS contexts in force were made of, and when they last looked different.
///
/// Certificates are renewed by replacing files. Control asks `changed` about once a second: a few system calls for a few
/// files, where notifications would have to follow every link of a mounted secret. It sees a file that was renamed into
/// place, one that was written over, and a link anywhere on the path that leads elsewhere now (Kubernetes turns `..data`),
/// which is more than `watched_directory` announces.
struct TLSFileWatch {
    private var stamps: [String: FileStamp] = [:]

    /// Watches exactly `files`. One that is new counts as seen when it looked so, which is before it was read.
    mutating func watch(_ files: [String: FileStamp]) {
        stamps = files.merging(stamps.filter { files[$0.key] != nil }) { _, seen in seen }
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
