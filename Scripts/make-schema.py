#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes Sources/CSchema/v3.schema, the table of Envoy's v3 API that the transcoder reads.

Usage: python3 Scripts/make-schema.py            (needs: pip install xds-protos; protoc)

Input: the descriptors of xds-protos, Scripts/istio-messages.txt, and our own Sources/MeshProto/Protos, whose fields are
the honoured ones. A field of ours that differs from the official one in number or type is an error.

The format is for people to diff and for Sources/MeshProto/Schema to read; messages and enums are sorted by name:

    message <full name> [+]                  "+": declared in our protos
     <number> <name> <type> [+] [rules...]   "+": honoured
     oneof <name> [required]
    enum <full name>
     <number> <NAME>

<type>: a scalar's proto name, ".<message>", "#<enum>"; followed by "[]" if repeated; "map<<key>,<value type>>" for a map.
<rules>: "oneof=<name>", "optional" (explicit presence), "deprecated", "sensitive" (never printed), "json=<name>" where it is not the lowerCamelCase of the name,
and the validation rules Envoy enforces: required, defined_only, min_len, max_len, min_bytes, max_bytes, gt, gte, lt, lte, const, in,
prefix, pattern (by name), min_items, max_items, unique, min_pairs, header_name, header_value (with "_loose": only NUL, CR and LF are refused),
ignore_empty; "each.<rule>" for elements, "key.<rule>" and "value.<rule>" for maps. Durations are in seconds.
"""
import importlib
import os
import re
import subprocess
import sys
import tempfile

import envoy
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FieldDescriptor as F
from udpa.annotations import sensitive_pb2
from validate import validate_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PROTOS = os.path.join(ROOT, "Sources/MeshProto/Protos")
OUTPUT = os.path.join(ROOT, "Sources/CSchema/v3.schema")

ROOTS = [
    "envoy.config.bootstrap.v3.Bootstrap", "envoy.config.listener.v3.Listener", "envoy.config.cluster.v3.Cluster",
    "envoy.config.route.v3.RouteConfiguration", "envoy.config.route.v3.ScopedRouteConfiguration",
    "envoy.config.endpoint.v3.ClusterLoadAssignment", "envoy.extensions.transport_sockets.tls.v3.Secret",
    "envoy.service.discovery.v3.DiscoveryRequest", "envoy.service.discovery.v3.DiscoveryResponse",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest", "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.service.runtime.v3.Runtime", "envoy.admin.v3.ConfigDump", "envoy.admin.v3.BootstrapConfigDump",
    "envoy.admin.v3.ListenersConfigDump", "envoy.admin.v3.ClustersConfigDump", "envoy.admin.v3.RoutesConfigDump",
    "envoy.admin.v3.ScopedRoutesConfigDump", "envoy.admin.v3.EndpointsConfigDump", "envoy.admin.v3.SecretsConfigDump",
    "envoy.admin.v3.EcdsConfigDump", "envoy.admin.v3.Listeners", "envoy.admin.v3.Clusters", "envoy.admin.v3.ServerInfo",
    "xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct",
]
# What Envoy 1.40 has and the published xds-protos do not: by message its fields as the table prints them, by enum its values.
NEWER_FIELDS = {
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions": {3: ("flush_access_log_on_start", "bool")},
}
NEWER_VALUES = {"envoy.data.accesslog.v3.AccessLogType": [" 14 TcpConnectionStart"]}
# Regular expressions among the rules that Apus checks, by the name the reader of the table knows them by.
PATTERNS = {"^[^?#]+[^?#/]$": "path_separated_prefix"}
SCALARS = {
    F.TYPE_BOOL: "bool", F.TYPE_STRING: "string", F.TYPE_BYTES: "bytes", F.TYPE_DOUBLE: "double", F.TYPE_FLOAT: "float",
    F.TYPE_INT32: "int32", F.TYPE_INT64: "int64", F.TYPE_UINT32: "uint32", F.TYPE_UINT64: "uint64", F.TYPE_SINT32: "sint32",
    F.TYPE_SINT64: "sint64", F.TYPE_FIXED32: "fixed32", F.TYPE_FIXED64: "fixed64", F.TYPE_SFIXED32: "sfixed32",
    F.TYPE_SFIXED64: "sfixed64",
}


def import_descriptors():
    """Imports every v3 module of xds-protos, so that the default pool knows all messages."""
    base = os.path.dirname(list(envoy.__path__)[0])
    for top in ("envoy", "xds", "udpa"):
        for folder, _, files in sorted(os.walk(os.path.join(base, top))):
            for name in sorted(files):
                if name.endswith("_pb2.py") and (top != "envoy" or "/v3" in folder):
                    module = os.path.relpath(os.path.join(folder, name), base)[:-3].replace("/", ".")
                    importlib.import_module(module)
                    yield module.replace(".", "/")[:-4] + ".proto"


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def single_type(field):
    if field.message_type is not None:
        return "." + field.message_type.full_name
    if field.enum_type is not None:
        return "#" + field.enum_type.full_name
    return SCALARS[field.type]


def type_text(field):
    if is_map(field):
        entry = field.message_type.fields_by_name
        return "map<%s,%s>" % (SCALARS[entry["key"].type], single_type(entry["value"]))
    return single_type(field) + ("[]" if field.is_repeated else "")


def lower_camel(name):
    return re.sub(r"_+([a-zA-Z0-9])?", lambda m: (m.group(1) or "").upper(), name)


def number_text(value):
    if hasattr(value, "seconds"):
        text = "%d.%09d" % (value.seconds, value.nanos)
        return text.rstrip("0").rstrip(".")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) else repr(value)
    return str(value)


def rule_tokens(rules, prefix=""):
    """The rules of one validate.FieldRules as tokens of the schema file."""
    out = []
    if rules.message.required:
        out.append("required")
    kind = rules.WhichOneof("type")
    body = getattr(rules, kind) if kind else None
    if kind == "repeated":
        out += ["%s=%d" % (n, getattr(body, n)) for n in ("min_items", "max_items") if body.HasField(n)]
        out += ["unique"] if body.unique else []
        out += rule_tokens(body.items, "each.") if body.HasField("items") else []
    elif kind == "map":
        out += ["%s=%d" % (n, getattr(body, n)) for n in ("min_pairs", "max_pairs") if body.HasField(n)]
        out += rule_tokens(body.keys, "key.") if body.HasField("keys") else []
        out += rule_tokens(body.values, "value.") if body.HasField("values") else []
    elif kind == "enum":
        out += ["defined_only"] if body.defined_only else []
        out += ["const=%d" % body.const] if body.HasField("const") else []
        out += ["in=" + "|".join(str(v) for v in getattr(body, "in"))] if getattr(body, "in") else []
        out += ["not_in=" + "|".join(str(v) for v in body.not_in)] if body.not_in else []
    elif kind in ("any", "timestamp"):
        out += ["required"] if body.required else []
    elif kind in ("string", "bytes"):
        for name in ("min_len", "max_len", "min_bytes", "max_bytes"):
            if name in body.DESCRIPTOR.fields_by_name and body.HasField(name):
                out.append("%s=%d" % (name, getattr(body, name)))
        if kind == "string":
            if body.pattern in PATTERNS:
                out.append("pattern=" + PATTERNS[body.pattern])
            if body.prefix and not re.search(r"\s", body.prefix):
                out.append("prefix=" + body.prefix)
            if getattr(body, "in") and not any(re.search(r"[\s|]", v) for v in getattr(body, "in")):
                out.append("in=" + "|".join(getattr(body, "in")))
            if body.WhichOneof("well_known") == "well_known_regex":
                name = "header_name" if body.well_known_regex == validate_pb2.HTTP_HEADER_NAME else "header_value"
                out.append(name + ("" if body.strict else "_loose"))
        out += ["ignore_empty"] if body.ignore_empty else []
    elif kind == "bool":
        out += ["const=" + number_text(body.const)] if body.HasField("const") else []
    elif kind is not None:
        for name in ("const", "gt", "gte", "lt", "lte"):
            if body.HasField(name):
                out.append("%s=%s" % (name, number_text(getattr(body, name))))
        if getattr(body, "in"):
            out.append("in=" + "|".join(number_text(v) for v in getattr(body, "in")))
        if kind == "duration" and body.required:
            out.append("required")
        if "ignore_empty" in body.DESCRIPTOR.fields_by_name and body.ignore_empty:
            out.append("ignore_empty")
    return [prefix + t for t in dict.fromkeys(out)]


def honoured_fields():
    """Our protos as {message: {field number: (name, type text)}}."""
    files = []
    for folder, _, names in os.walk(PROTOS):
        files += [os.path.relpath(os.path.join(folder, n), PROTOS) for n in names if n.endswith(".proto")]
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "--proto_path=" + PROTOS, "--include_imports", "--descriptor_set_out=" + out.name] + sorted(files), check=True)
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    found = {}

    def visit(message):
        found[message.full_name] = {f.number: (f.name, type_text(f)) for f in message.fields}
        for nested in message.nested_types:
            if not nested.GetOptions().map_entry:
                visit(nested)

    for name in files:
        for message in pool.FindFileByName(name).message_types_by_name.values():
            visit(message)
    return found


class Table:
    """Messages and enums collected so far, as text blocks by name."""

    def __init__(self, honoured):
        self.honoured, self.blocks, self.enums, self.seen = honoured, {}, {}, set()

    def add(self, message):
        todo = [message]
        while todo:
            m = todo.pop()
            if m.full_name in self.seen or m.full_name.startswith("google."):
                continue
            self.seen.add(m.full_name)
            self.blocks[m.full_name] = self.block(m)
            for field in m.fields:
                inner = field.message_type
                if is_map(field):
                    inner = inner.fields_by_name["value"].message_type
                    value_enum = field.message_type.fields_by_name["value"].enum_type
                    if value_enum is not None:
                        self.add_enum(value_enum)
                if inner is not None:
                    todo.append(inner)
                if field.enum_type is not None:
                    self.add_enum(field.enum_type)

    def add_enum(self, enum):
        lines = [" %d %s" % (v.number, v.name) for v in enum.values if not v.name.startswith("hidden_envoy")]
        self.enums[enum.full_name] = lines + NEWER_VALUES.get(enum.full_name, [])

    def block(self, m):
        ours = self.honoured.get(m.full_name)
        lines = []
        disabled = m.GetOptions().Extensions[validate_pb2.disabled] or m.GetOptions().Extensions[validate_pb2.ignored]
        for f in m.fields:
            if f.name.startswith("hidden_envoy"):
                continue
            parts = ["", str(f.number), f.name, type_text(f)]
            if ours is not None and f.number in ours:
                if ours[f.number] != (f.name, type_text(f)):
                    sys.exit("%s.%s: ours is %s, the official one %s" % (m.full_name, f.name, ours[f.number], (f.name, type_text(f))))
                parts.append("+")
            oneof = f.containing_oneof
            if oneof is not None:
                # proto3 `optional` is a oneof of one whose name starts with an underscore.
                parts.append("optional" if oneof.name.startswith("_") else "oneof=" + oneof.name)
            if f.GetOptions().deprecated:
                parts.append("deprecated")
            if f.GetOptions().Extensions[sensitive_pb2.sensitive]:
                parts.append("sensitive")
            if f.json_name != lower_camel(f.name):
                parts.append("json=" + f.json_name)
            if not disabled:
                parts += rule_tokens(f.GetOptions().Extensions[validate_pb2.rules])
            lines.append(" ".join(parts))
        for o in m.oneofs:
            if not o.name.startswith("_"):
                required = o.GetOptions().Extensions[validate_pb2.required] and not disabled
                lines.append(" oneof %s%s" % (o.name, " required" if required else ""))
        newer = NEWER_FIELDS.get(m.full_name, {})
        for number, (name, kind) in newer.items():
            is_ours = (ours or {}).get(number) == (name, kind)
            lines.append(" %d %s %s%s" % (number, name, kind, " +" if is_ours else ""))
        unknown = set(ours or {}) - {f.number for f in m.fields} - set(newer)
        if unknown:
            sys.exit("%s: field numbers %s are not in the official message" % (m.full_name, sorted(unknown)))
        return lines


def add_istio(table):
    target = None
    for line in open(os.path.join(HERE, "istio-messages.txt")):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith(("message ", "enum ")):
            kind, name = line.split()
            target = (table.blocks if kind == "message" else table.enums).setdefault(name, [])
            is_message = kind == "message"
            if is_message:
                table.seen.add(name)
            continue
        name, rest = line.split("=", 1)
        if not is_message:
            target.append(" %s %s" % (rest, name))
            continue
        number, kind = rest.split(":", 1)
        kind, _, oneof = kind.partition("@")
        if kind.startswith("{"):
            kind = "map<string,%s>" % kind[1:-1]
        elif kind.endswith("*"):
            kind = kind[:-1] + "[]"
        target.append(" %s %s %s%s" % (number, name, kind, " oneof=" + oneof if oneof else ""))
        if oneof and " oneof " + oneof not in target:
            target.append(" oneof " + oneof)


def main():
    files = list(import_descriptors())
    pool = descriptor_pool.Default()
    honoured = honoured_fields()
    table = Table(honoured)
    for name in ROOTS:
        table.add(pool.FindMessageTypeByName(name))
    for name in honoured:
        table.add(pool.FindMessageTypeByName(name))
    for name in files:
        file = pool.FindFileByName(name)
        if re.match(r"envoy\.(extensions|config)\..*v3$", file.package):
            for message in file.message_types_by_name.values():
                table.add(message)
        elif file.package.startswith("xds.type.matcher"):
            for message in file.message_types_by_name.values():
                table.add(message)
    add_istio(table)
    os.makedirs(os.path.dirname(OUTPUT), exist_ok=True)
    with open(OUTPUT, "w") as out:
        for name in sorted(table.blocks):
            out.write("message %s%s\n" % (name, " +" if name in honoured else ""))
            out.writelines(line + "\n" for line in table.blocks[name])
        for name in sorted(table.enums):
            out.write("enum %s\n" % name)
            out.writelines(line + "\n" for line in table.enums[name])
    print("%d messages, %d enums, %d bytes" % (len(table.blocks), len(table.enums), os.path.getsize(OUTPUT)))


if __name__ == "__main__":
    main()
