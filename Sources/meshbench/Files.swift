// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Glibc
import MeshIO

/// Files the user names.
enum FileContents {
    static func bytes(_ path: String) -> [UInt8]? { FileManager.default.contents(atPath: path).map { Array($0) } }
    static func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    static func write(_ bytes: [UInt8], to path: String) throws {
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
            throw ValidationError("\(path): cannot be written")
        }
    }
}

/// Names of hosts, once, before a run.
enum HostLookup {
    static func address(_ host: String, _ port: UInt16) -> Address? {
        if let literal = Address(ip: host, port: port) { return literal }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0, let first = list else { return nil }
        defer { freeaddrinfo(list) }
        return Address(first.pointee.ai_addr, length: Int(first.pointee.ai_addrlen))?.withPort(port)
    }
}
