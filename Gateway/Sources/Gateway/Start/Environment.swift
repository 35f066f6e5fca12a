/// Each option for a service can also be a variable of the environment: `--webhook-pause` is `GATEWAY_WEBHOOK_PAUSE`. The command line
/// takes precedence.
enum Environment {
    /// The variables of an option, of which the first that is set counts.
    static func variables(of option: String) -> [String] {
        ["GATEWAY_" + option.uppercased().replacing("-", with: "_")] + (option == "log-level" ? ["LOG_LEVEL"] : [])
    }

    /// The arguments with those added that the environment has, and the command line has not.
    static func arguments(_ arguments: [String], _ environment: [String: String]) -> [String] {
        var added: [String] = []
        for option in options {
            let name = "--" + option
            let isGiven = arguments.contains { $0 == name || $0.hasPrefix(name + "=") }
            let values = variables(of: option).compactMap { environment[$0] }
            guard !isGiven, let value = values.first(where: { !$0.isEmpty }) else { continue }
            if flags.contains(option) {
                // Whatever else it is, ArgumentParser refuses it with a sentence.
                if value != "0", value.lowercased() != "false" {
                    added.append(["1", "true"].contains(value.lowercased()) ? name : "\(name)=\(value)")
                }
            } else if lists.contains(option) {
                added += value.split(whereSeparator: \.isWhitespace).map { "\(name)=\($0)" }
            } else {
                added.append("\(name)=\(value)")
            }
        }
        return arguments + added
    }

    static let flags: Set = ["demo"]
    /// Those that may come several times: in a variable with spaces between them.
    static let lists: Set = ["webhook", "webhook-secret-file", "origin"]
    static let options =
        [
            "file", "database", "refused-folder", "hostname", "port", "token-file", "read-token-file", "webhook-pause",
            "webhook-patience", "lease",
            "demo-speed",
            "log-level", "log-format",
        ] + flags.sorted() + lists.sorted()
}
