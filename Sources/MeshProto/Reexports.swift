// SPDX-License-Identifier: Apache-2.0

// The generated messages show SwiftProtobuf's Duration, Any, Struct and wrappers in their signatures, and member import
// visibility would make every reader of a message import SwiftProtobuf too. This one line keeps the dependency here.
@_exported public import SwiftProtobuf
