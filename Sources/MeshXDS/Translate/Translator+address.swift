// SPDX-License-Identifier: Apache-2.0
package import MeshIO
package import MeshModel
package import MeshProto

extension Translator {
    /// An address to listen on.
    package func listenerAddress(
        _ message: Envoy_Config_Core_V3_Address, at path: String
    ) throws(ConfigError) -> ListenerAddress {
        let address = try address(message, at: path)
        return ListenerAddress(
            address, ipv4Compat: message.socketAddress.ipv4Compat, pipeMode: message.pipe.mode)
    }

    /// A literal IP address with its port, or a unix socket.
    package func address(_ message: Envoy_Config_Core_V3_Address, at path: String) throws(ConfigError) -> Address {
        switch message.address {
        case .socketAddress(let socket)?: return try address(socket, at: path + ".socket_address")
        case .pipe(let pipe)?:
            // Two bytes of the kernel's 110 are the family, one ends the path.
            guard pipe.path.utf8.count <= 107 else {
                throw error(path + ".pipe.path", found: "\(pipe.path.utf8.count) bytes", allowed: "at most 107 bytes")
            }
            return .pipe(pipe.path)
        case nil:
            throw error(path, found: "no address", allowed: "socket_address or pipe")
        }
    }

    func address(_ socket: Envoy_Config_Core_V3_SocketAddress, at path: String) throws(ConfigError) -> Address {
        guard socket.protocol == .tcp else {
            throw error(path + ".protocol", found: "UDP", allowed: "TCP")
        }
        let port = try port(of: socket, at: path)
        guard let address = Address(ip: socket.address, port: port) else {
            throw error(path + ".address", found: "'\(socket.address)'", allowed: "an IPv4 or IPv6 address")
        }
        return address
    }

    func port(of socket: Envoy_Config_Core_V3_SocketAddress, at path: String) throws(ConfigError) -> UInt16 {
        if case .namedPort(let name)? = socket.portSpecifier {
            throw error(path + ".named_port", found: "'\(name)'", allowed: "port_value")
        }
        guard let port = UInt16(exactly: socket.portValue) else {
            throw error(path + ".port_value", found: "\(socket.portValue)", allowed: "at most 65535")
        }
        return port
    }

    func ranges(_ messages: [Envoy_Config_Core_V3_CidrRange], at path: String) throws(ConfigError) -> [CIDRRange] {
        var result: [CIDRRange] = []
        for (index, message) in messages.enumerated() {
            guard let address = Address(ip: message.addressPrefix, port: 0),
                let range = CIDRRange(address, prefixLength: message.prefixLen.value)
            else {
                throw error(
                    "\(path)[\(index)].address_prefix", found: "'\(message.addressPrefix)'",
                    allowed: "an IPv4 or IPv6 address")
            }
            result.append(range)
        }
        return result
    }

    /// Text from a file, the environment or the configuration itself.
    func bytes(_ source: Envoy_Config_Core_V3_DataSource, at path: String) throws(ConfigError) -> [UInt8] {
        switch source.specifier {
        case .inlineString(let text)?: return Array(text.utf8)
        case .inlineBytes(let data)?: return Array(data)
        case .filename(let name)?:
            guard let bytes = FileContents.read(name) else {
                throw error(path + ".filename", found: "'\(name)', which cannot be read", allowed: "a readable file")
            }
            return bytes
        case .environmentVariable(let name)?:
            guard let bytes = FileContents.environment(name) else {
                throw error(
                    path + ".environment_variable", found: "'\(name)', which is not set",
                    allowed: "a variable that is set")
            }
            return bytes
        case nil:
            throw error(
                path, found: "nothing", allowed: "filename, inline_bytes, inline_string or environment_variable")
        }
    }
}
