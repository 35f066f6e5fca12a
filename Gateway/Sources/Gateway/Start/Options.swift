import Foundation
import WhatsAppSessions

extension Gateway {
    /// The options, checked.
    ///
    /// - Throws: ``ConfigurationError`` with a sentence for the first that cannot be.
    func checked(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> Configuration {
        guard file != ":memory:" else {
            throw ConfigurationError("Leave out --file to keep the sessions in memory.")
        }
        guard file == nil || database == nil else {
            throw ConfigurationError("The sessions are in one place: leave out --file, or --database.")
        }
        guard database != nil || refusedFolder == nil else {
            throw ConfigurationError("With --file, what is set aside is beside the file: leave out --refused-folder.")
        }
        guard refusedFolder.map(Self.isWritableFolder) ?? true else {
            throw ConfigurationError("--refused-folder must name a folder that the gateway can write to.")
        }
        guard (0...65_535).contains(port) else { throw ConfigurationError("A port is a number from 0 to 65535.") }
        guard (1...86_400).contains(lease) else { throw ConfigurationError("A lease is 1 to 86400 seconds.") }
        guard (0.1...1000).contains(demoSpeed) else { throw ConfigurationError("The demo's speed is 0.1 to 1000.") }
        guard (1...64_000).contains(webhookPause) else {
            throw ConfigurationError("A pause is 1 to 64000 milliseconds.")
        }
        guard (1...31_536_000).contains(webhookPatience) else {
            throw ConfigurationError("A webhook's patience is 1 to 31536000 seconds.")
        }
        var configuration = Configuration(file: file, hostname: hostname, port: port)
        configuration.database = try database.map(Self.storage)
        configuration.refusedFolder = refusedFolder
        configuration.lease = .seconds(lease)
        configuration.origins = try Set(origin.map(Self.checkedOrigin))
        configuration.webhooks = try webhook.map { text in
            guard var webhook = Configuration.Webhook(text) else {
                throw ConfigurationError("A webhook is a URL that begins with http:// or https://.")
            }
            webhook.firstPause = .milliseconds(webhookPause)
            webhook.patience = .seconds(webhookPatience)
            return webhook
        }
        guard Set(configuration.webhooks.map(\.url)).count == configuration.webhooks.count else {
            throw ConfigurationError("Two webhooks have the same URL: name each once.")
        }
        if demo { configuration.demoSpeed = demoSpeed }
        guard importedFile == nil || exportedFile == nil else {
            throw ConfigurationError("Sessions move one way at a time: leave out --import, or --export.")
        }
        configuration.transfer = importedFile.map(Transfer.importing) ?? exportedFile.map(Transfer.exporting)
        configuration.readSecrets = { try secrets(in: environment) }
        let token = try configuration.readSecrets().token
        guard token != nil || Loopback.contains(hostname) || configuration.transfer != nil else {
            throw ConfigurationError(
                "Without a token anyone who reaches \(hostname) could link the accounts: add --token-file, or use 127.0.0.1."
            )
        }
        return configuration
    }

    private static func storage(_ database: String) throws -> SessionManager.Storage {
        #if Postgres
        return .postgres(database)
        #else
        throw ConfigurationError("This gateway was built without PostgreSQL: build it with --traits Postgres.")
        #endif
    }

    private static func isWritableFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && access(path, W_OK) == 0
    }

    /// The secrets, read again each time.
    private func secrets(in environment: [String: String]) throws -> Secrets.Values {
        var values = Secrets.Values()
        values.token = try token(tokenFile, "--token-file", "GATEWAY_TOKEN", environment)
        values.readToken = try token(readTokenFile, "--read-token-file", "GATEWAY_READ_TOKEN", environment)
        guard values.token != nil || values.readToken == nil else {
            throw ConfigurationError("A token that only reads needs one that does everything: add --token-file.")
        }
        let texts = try webhookSecretFile.map { try Configuration.secret(inFile: $0) }
        switch texts.count {
        case 0: values.webhooks = webhook.map { _ in nil }
        case 1 where !webhook.isEmpty: values.webhooks = webhook.map { _ in texts[0] }
        case webhook.count: values.webhooks = texts
        default:
            throw ConfigurationError(
                "A secret for webhooks needs a --webhook to sign: name one for all, or one for each."
            )
        }
        return values
    }

    private func token(
        _ file: String?,
        _ option: String,
        _ variable: String,
        _ environment: [String: String]
    ) throws -> Token? {
        switch (file, environment[variable]) {
        case (nil, nil): return nil
        // Without a file an empty one is refused: whoever set it meant a token.
        case (let file?, nil), (let file?, ""):
            return try Configuration.token(Configuration.secret(inFile: file), from: file)
        case (nil, let text?):
            return try Configuration.token(Configuration.secret(text, from: variable), from: variable)
        case (_?, _?): throw ConfigurationError("There are two tokens: leave out \(option), or \(variable).")
        }
    }

    /// An origin as browsers send it: a scheme, a host and perhaps a port, and nothing else.
    private static func checkedOrigin(_ text: String) throws -> String {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme, let host = parts.host, !host.isEmpty,
            ["http", "https"].contains(scheme), text == text.lowercased(),
            // Browsers leave out a scheme's own port.
            parts.port != (scheme == "http" ? 80 : 443),
            text == "\(scheme)://\(host)\(parts.port.map { ":\($0)" } ?? "")"
        else {
            throw ConfigurationError("An origin is a scheme and a host, such as https://admin.example, without a path.")
        }
        return text
    }
}
