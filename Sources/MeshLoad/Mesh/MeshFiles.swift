// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The configuration of a mesh on disk.
public enum MeshFiles {
    /// Where a sidecar listens for what its application sends, and its admin; the endpoints are behind it.
    private static let outboundPort: UInt16 = 15_001
    private static let adminPort: UInt16 = 15_000
    private static let firstEndpointPort: UInt16 = 18_080

    /// Writes a mesh for somebody else to start, with the ports of a sidecar.
    /// - Throws: `ScenarioError` for a shape that is none, or a folder that cannot be written.
    public static func write(_ shape: MeshShape, form: MeshForm, folder: String) throws(ScenarioError) {
        try shape.check()
        let configuration = MeshConfiguration(
            shape: shape, port: outboundPort, adminPort: adminPort,
            endpointPorts: (0..<shape.endpoints).map { firstEndpointPort + UInt16($0) })
        _ = try write(configuration, form: form, folder: folder)
    }

    /// Writes `bootstrap.json` and what it points to; what was there before is removed.
    /// - Returns: the bytes of all files.
    static func write(_ configuration: MeshConfiguration, form: MeshForm, folder: String) throws(ScenarioError) -> UInt64 {
        for old in ["bootstrap.json", "lds.json", "rds.json", "cds.json", "eds"] { try? FileManager.default.removeItem(atPath: "\(folder)/\(old)") }
        do {
            try FileManager.default.createDirectory(atPath: form == .xds ? folder + "/eds" : folder, withIntermediateDirectories: true)
        } catch {
            throw ScenarioError("\(folder): cannot be made: \(error)")
        }
        let files = form == .bootstrap ? ["bootstrap.json": configuration.bootstrap] : configuration.files(folder: folder)
        var bytes: UInt64 = 0
        for (name, text) in files {
            try RunCertificates.write(Array(text.utf8), "\(folder)/\(name)")
            bytes += UInt64(text.utf8.count)
        }
        return bytes
    }
}
