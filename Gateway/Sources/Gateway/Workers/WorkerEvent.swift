import Foundation

/// What a worker posts to `/sessions/{id}/events`.
struct WorkerEvent: Decodable, Sendable {
    /// What the event says about the session; `nil` for nothing.
    let report: SessionReport?
    /// When the worker saw it; never in the future.
    let date: Date?
    /// Whether the worker will open a new socket after this one closed.
    let willReconnect: Bool?
    /// Who reports it.
    let worker: Worker?

    private enum CodingKeys: String, CodingKey {
        case event, data
        case date = "at"
        case willReconnect, worker, lease
    }

    /// An event of the gateway's own demo.
    init(_ report: SessionReport) {
        (self.report, date, willReconnect, worker) = (report, nil, nil, nil)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        date = try container.decodeIfPresent(EventTime.self, forKey: .date)?.date
        willReconnect = try container.decodeIfPresent(Bool.self, forKey: .willReconnect)
        let isNamed = try [CodingKeys.worker, .lease].contains { key in
            try container.contains(key) && !container.decodeNil(forKey: key)
        }
        worker = isNamed ? try Worker(from: decoder) : nil
        let name = try container.decode(String.self, forKey: .event)
        // An event that nobody knows is not read further: it may be anything.
        guard let event = KnownEvent(name) else {
            report = nil
            UnknownNames.note(name, as: "event")
            return
        }
        let data = try container.decodeIfPresent(JSONValue.self, forKey: .data) ?? .null
        report = try event.report(WorkerData(data, at: "data"), date ?? Date())
    }
}

/// An event that says something about a session.
enum KnownEvent {
    case baileys(BaileysEvent)
    case whatsmeow(WhatsmeowEvent)
    case session

    init?(_ name: String) {
        if name == "session" {
            self = .session
        } else if let event = BaileysEvent(rawValue: name) {
            self = .baileys(event)
        } else if let event = WhatsmeowEvent(typeName: name) {
            self = .whatsmeow(event)
        } else {
            return nil
        }
    }

    /// - Parameter date: When it happened, for what it says about a time to come.
    func report(_ data: WorkerData, _ date: Date) throws -> SessionReport? {
        switch self {
        case .baileys(let event): try event.report(data, date)
        case .whatsmeow(let event): try event.report(data, date)
        case .session: try SessionReport(neutral: data)
        }
    }
}

/// When a worker saw an event: ISO 8601, or milliseconds since 1970.
private struct EventTime: Decodable {
    /// The time; now for one that is ahead of this clock.
    let date: Date

    /// WhatsApp began in 2009, so what is before that is in seconds, or no time at all.
    private static let earliest = Date(timeIntervalSince1970: 1_230_768_000)

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try? container.decode(String.self)
        let milliseconds = text == nil ? try? container.decode(Double.self) : Double(text!)
        let now = Date()
        guard
            let date = milliseconds.map({ Date(timeIntervalSince1970: $0 / 1000) })
                ?? text.flatMap(Date.init(iso8601:)),
            date >= Self.earliest, date < now + 86_400
        else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "a time is ISO 8601 or milliseconds since 1970, after 2009 and not ahead of now"
            )
        }
        self.date = min(date, now)
    }
}
