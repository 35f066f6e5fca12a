import Foundation

/// What a worker posts to `/sessions/{id}/events`.
struct WorkerEvent: Decodable, Sendable {
    /// What the event says about the session; `nil` for nothing.
    let report: SessionReport?
    /// When the worker saw it.
    let date: Date?
    /// Whether the worker will open a new socket after this one closed.
    let willReconnect: Bool?
    /// The name of the worker, which holds a lease by its stream.
    let worker: String?

    private enum CodingKeys: String, CodingKey {
        case event, data
        case date = "at"
        case willReconnect, worker
    }

    /// An event of the gateway's own demo.
    init(_ report: SessionReport) {
        (self.report, date, willReconnect, worker) = (report, nil, nil, nil)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let event = try container.decode(String.self, forKey: .event)
        if let event = BaileysEvent(rawValue: event) {
            report = try event.report(container, .data)
        } else if let event = WhatsmeowEvent(typeName: event) {
            report = try event.report(container, .data)
        } else {
            report = nil
        }
        date = try container.decodeIfPresent(Date.self, forKey: .date)
        willReconnect = try container.decodeIfPresent(Bool.self, forKey: .willReconnect)
        worker = try container.decodeIfPresent(String.self, forKey: .worker)
        guard worker.map(WorkerLeases.isName) ?? true else {
            throw DecodingError.dataCorruptedError(forKey: .worker, in: container, debugDescription: "this is no name")
        }
    }
}
