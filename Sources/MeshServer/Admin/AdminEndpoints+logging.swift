// SPDX-License-Identifier: Apache-2.0

extension AdminEndpoints {
    /// `POST /logging`: changes levels, if asked, and lists them. What is wrong in any part changes nothing.
    func logging(_ request: LocalRequest) -> LocalResponse {
        if let mistake = changeLevels(request.parameters) {
            return LocalResponse(400, "error: \(mistake)\n\n" + AdminEndpoints.loggingUsage + levels)
        }
        return LocalResponse(levels)
    }

    private var levels: String {
        var text = "active loggers:\n"
        for (component, level) in context.log.levels { text += "  \(component): \(level.name)\n" }
        return text + "\n"
    }

    private static let loggingUsage = """
        usage: /logging?<name>=<level> (change single level)
        usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)
        usage: /logging?level=<level> (change all levels)
        usage: /logging?group=<group_name>:<level> (change group of loggers)
        levels: \(LogLevel.allCases.map { $0.name + " " }.joined())

        """

    /// - Returns: what is wrong, in Envoy's words.
    private func changeLevels(_ parameters: [(name: String, value: String)]) -> String? {
        guard let (name, value) = parameters.first else { return nil }
        guard parameters.count == 1 else { return "invalid number of parameters" }
        // The form of the page sends an empty level to list.
        if value.isEmpty { return nil }
        switch name {
        case "level":
            guard let level = AdminEndpoints.level(value) else { return "unknown logger level" }
            context.log.setLevel(level)
        case "paths":
            var changes: [(String, LogLevel)] = []
            for pair in value.split(separator: ",") {
                let sides = pair.split(separator: ":", maxSplits: 1).map(String.init)
                guard sides.count == 2 else { return "empty logger name or empty logger level" }
                guard let level = AdminEndpoints.level(sides[1]) else { return "unknown logger level" }
                changes.append((sides[0], level))
            }
            guard changes.allSatisfy({ ApplicationLog.isComponent($0.0) }) else { return "unknown logger name" }
            for (component, level) in changes { context.log.setLevel(level, component: component) }
        case "group": return "group parameter requires fine-grain logging to be enabled"
        default:
            guard let level = AdminEndpoints.level(value) else { return "unknown logger level" }
            guard ApplicationLog.isComponent(name) else { return "unknown logger name" }
            context.log.setLevel(level, component: name)
        }
        return nil
    }

    /// The command line takes `warn`; admin, as Envoy's, does not.
    private static func level(_ name: String) -> LogLevel? { name == "warn" ? nil : LogLevel(name: name) }
}
