import Foundation

/// Any JSON.
enum JSONValue: Decodable, Sendable, Equatable {
    case null
    case flag(Bool)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: Key.self) {
            var members: [String: JSONValue] = [:]
            for key in object.allKeys { members[key.stringValue] = try object.decode(JSONValue.self, forKey: key) }
            self = .object(members)
            return
        }
        if var list = try? decoder.unkeyedContainer() {
            var values: [JSONValue] = []
            while !list.isAtEnd { values.append(try list.decode(JSONValue.self)) }
            self = .list(values)
            return
        }
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else {
            self = .text(try value.decode(String.self))
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

/// A part of what a worker posted, read as far as it can be: a text where a number is expected, and the other way round.
struct WorkerData {
    private let value: JSONValue
    /// Where it stands, such as `data.lastDisconnect.error`.
    private let place: String

    init(_ value: JSONValue, at place: String) {
        self.value = value
        self.place = place
    }

    /// A member of an object; nothing when there is no object.
    ///
    /// - Throws: ``Problem`` with the place when this is something else.
    subscript(_ name: String) -> WorkerData {
        get throws {
            switch value {
            case .object(let members): WorkerData(members[name] ?? .null, at: "\(place).\(name)")
            case .null: WorkerData(.null, at: "\(place).\(name)")
            default: throw unreadable("is not an object")
            }
        }
    }

    /// Whether it is there, and not null.
    var isPresent: Bool { value != .null }

    /// A member of an object; `nil` when this is something else, or has none of that name.
    func optional(_ name: String) -> WorkerData? {
        guard case .object(let members) = value, let member = members[name] else { return nil }
        return WorkerData(member, at: "\(place).\(name)")
    }

    /// The whole number, or the one that a text begins with; `nil` when there is none, as beyond 100 years of nanoseconds.
    var lenientNumber: Int? {
        switch value {
        case .number(let number): abs(number) < 4e18 ? Int(number) : nil
        case .text(let text): Self.leadingNumber(text)
        default: nil
        }
    }

    private static func leadingNumber(_ text: String) -> Int? { Int(text.prefix { $0.isASCII && $0.isNumber }) }

    /// The first value of a list; nothing when there is no list.
    ///
    /// - Throws: ``Problem`` with the place when this is something else.
    var first: WorkerData {
        get throws {
            switch value {
            case .list(let values): WorkerData(values.first ?? .null, at: "\(place).0")
            case .null: self
            default: throw unreadable("is not a list")
            }
        }
    }

    var isTrue: Bool { value == .flag(true) }

    /// The text, if this is one.
    var ownText: String? {
        if case .text(let text) = value { text } else { nil }
    }

    /// A text, or a number as one; `nil` when there is nothing.
    ///
    /// - Throws: ``Problem`` with the place when it is an object, a list or a flag.
    func text() throws -> String? {
        switch value {
        case .null: nil
        case .text(let text): text
        case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
        case .flag, .list, .object: throw unreadable("is not a text")
        }
    }

    /// A whole number, or the one that a text begins with; `nil` when there is none.
    ///
    /// - Throws: ``Problem`` with the place when it is an object, a list or a flag.
    func number() throws -> Int? {
        switch value {
        case .null: nil
        case .number(let number):
            // Beyond that a number in JSON is another one to many programs: RFC 8259, section 6.
            if abs(number) < 9_007_199_254_740_992, let whole = Int(exactly: number) {
                whole
            } else {
                throw unreadable("is not a whole number below 2^53")
            }
        case .text(let text): Self.leadingNumber(text)
        case .flag, .list, .object: throw unreadable("is not a number")
        }
    }

    /// A QR code, which is a text and nothing else; `nil` when there is none.
    func code() throws -> String? {
        switch value {
        case .null: nil
        case .text(let text): text
        default: throw unreadable("is not a text")
        }
    }

    func unreadable(_ fault: String) -> Problem {
        .badRequest("invalid_body", "In the JSON of the body, \"\(place)\" \(fault).")
    }
}
