// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO

/// This machine's own address, as headers give it where a peer on the same machine would have to be named.
enum HostAddress {
    /// The first address of the wanted family that is not loopback; loopback where there is none.
    static func find(_ version: ServerOptions.IPVersion) -> Address {
        let wantsIPv6 = version == .v6
        let fallback: Address =
            wantsIPv6 ? .ipv6(high: 0, low: 1, port: 0, scope: 0) : .ipv4(0x7F00_0001, port: 0)
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return fallback }
        defer { freeifaddrs(list) }
        var entry = list
        while let interface = entry {
            defer { entry = interface.pointee.ifa_next }
            guard let raw = interface.pointee.ifa_addr else { continue }
            let length = wantsIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
            guard raw.pointee.sa_family == sa_family_t(wantsIPv6 ? AF_INET6 : AF_INET),
                let address = Address(UnsafeRawPointer(raw), length: length), !address.isLoopback
            else { continue }
            return address
        }
        return fallback
    }
}
