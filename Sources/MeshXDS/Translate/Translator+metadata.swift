// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func metadata(_ message: Envoy_Config_Core_V3_Metadata) -> MetadataTable {
        MetadataTable(message.filterMetadata.mapValues { .object($0.fields.mapValues(Self.value)) })
    }

    func metadata(_ message: SwiftProtobuf.Google_Protobuf_Struct) -> MetadataTree {
        MetadataTree(.object(message.fields.mapValues(Self.value)))
    }

    private static func value(_ message: SwiftProtobuf.Google_Protobuf_Value) -> MetadataValue {
        switch message.kind {
        case .nullValue?, nil: .null
        case .boolValue(let flag)?: .bool(flag)
        case .numberValue(let number)?: .number(number)
        case .stringValue(let text)?: .string(text)
        case .listValue(let list)?: .list(list.values.map(value))
        case .structValue(let object)?: .object(object.fields.mapValues(value))
        }
    }
}
