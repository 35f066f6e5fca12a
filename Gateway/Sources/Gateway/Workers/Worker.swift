import WhatsAppSessions

/// A worker, as it names itself, and the lease that it says it has.
struct Worker: Sendable, Equatable {
    let name: String
    let lease: SessionLease?

    /// - Parameters:
    ///   - name: The name; `nil` when it makes no sense as one, or is the gateway's own.
    ///   - number: The number of its lease, if it said one.
    init?(name: String, lease number: Int64? = nil) {
        guard (1...100).contains(name.unicodeScalars.count), !name.hasPrefix(WebhookTurn.prefix) else { return nil }
        self.name = name
        lease = number.map { SessionLease(holder: name, number: $0) }
    }
}

extension Worker: Decodable {
    enum CodingKeys: CodingKey { case worker, lease }

    /// Decodes `{"worker": "eu-1", "lease": "17"}`, where a lease may be a number too, or be absent.
    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let name = try container.decode(String.self, forKey: .worker)
        var number: Int64?
        if container.contains(.lease), try !container.decodeNil(forKey: .lease) {
            number = try? container.decode(Int64.self, forKey: .lease)
            if number == nil, let text = try? container.decode(String.self, forKey: .lease) { number = Int64(text) }
            guard number != nil else {
                throw DecodingError.dataCorruptedError(
                    forKey: .lease,
                    in: container,
                    debugDescription: "not a lease number"
                )
            }
        }
        guard let worker = Worker(name: name, lease: number) else {
            throw DecodingError.dataCorruptedError(
                forKey: .worker,
                in: container,
                debugDescription: "not a worker name"
            )
        }
        self = worker
    }
}
