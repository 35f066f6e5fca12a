#if Postgres
import Foundation
import WhatsAppSessionsLibpq

/// The types that the library binds: <https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat>.
extension Oid {
    static let boolean: Oid = 16, bigint: Oid = 20, integer: Oid = 23, text: Oid = 25
    static let booleans: Oid = 1000, integers: Oid = 1007, texts: Oid = 1009, bigints: Oid = 1016
}

/// The values of a statement's parameters, in the binary format: text that is sent as text ends at a NUL.
struct PostgresValues {
    private var bytes: [UInt8] = []
    /// Where each begins; `nil` for NULL.
    private var starts: [Int?] = []
    private var lengths: [Int32] = []

    mutating func add(_ value: Int64?) { add(value) { $0.write($1) } }

    mutating func add(_ value: Int32) { add(value) { $0.write($1) } }

    mutating func add(_ value: Bool) { add(value) { $0.append($1 ? 1 : 0) } }

    mutating func add(_ value: String?) { add(value) { $0.write(escaping: $1) } }

    mutating func add(_ values: [Int64?]) { add(values, of: .bigint) { $0.write($1) } }

    mutating func add(_ values: [Int32?]) { add(values, of: .integer) { $0.write($1) } }

    mutating func add(_ values: [Bool?]) { add(values, of: .boolean) { $0.append($1 ? 1 : 0) } }

    mutating func add(_ values: [String?]) { add(values, of: .text) { $0.write(escaping: $1) } }

    private mutating func add<Value>(_ value: Value?, _ write: (inout [UInt8], Value) -> Void) {
        let start = bytes.count
        starts.append(value == nil ? nil : start)
        if let value { write(&bytes, value) }
        lengths.append(Int32(bytes.count - start))
    }

    /// One dimension: how many, whether there are NULLs, the type, the length and where it begins; then each with its length.
    private mutating func add<Value>(_ values: [Value?], of type: Oid, _ write: (inout [UInt8], Value) -> Void) {
        add(values) { bytes, values in
            bytes.write(Int32(1))
            bytes.write(Int32(1))
            bytes.write(Int32(type))
            bytes.write(Int32(values.count))
            bytes.write(Int32(1))
            for value in values {
                guard let value else {
                    bytes.write(Int32(-1))
                    continue
                }
                let start = bytes.count
                bytes.write(Int32(0))
                write(&bytes, value)
                bytes.set(Int32(bytes.count - start - 4), at: start)
            }
        }
    }

    func withPointers<Result>(
        _ body: (_ values: [UnsafePointer<CChar>?], _ lengths: [Int32], _ formats: [Int32]) -> Result
    ) -> Result {
        // One byte more, so that the last value has an address even if it is empty.
        (bytes + [0]).withUnsafeBytes { bytes in
            let base = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)
            return body(starts.map { $0.map { base + $0 } }, lengths, Array(repeating: 1, count: lengths.count))
        }
    }
}

extension [UInt8] {
    fileprivate mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
    }

    fileprivate mutating func set(_ number: Int32, at place: Int) {
        Swift.withUnsafeBytes(of: number.bigEndian) { bytes in
            for (offset, byte) in bytes.enumerated() { self[place + offset] = byte }
        }
    }

    /// `text` refuses NUL: SUB and 0 stand for it, and SUB SUB for SUB.
    fileprivate mutating func write(escaping text: String) {
        var text = text
        text.withUTF8 { utf8 in
            guard utf8.contains(where: { $0 == 0 || $0 == PostgresRow.escape }) else {
                return append(contentsOf: utf8)
            }
            for byte in utf8 {
                switch byte {
                case 0: append(contentsOf: [PostgresRow.escape, UInt8(ascii: "0")])
                case PostgresRow.escape: append(contentsOf: [PostgresRow.escape, PostgresRow.escape])
                default: append(byte)
                }
            }
        }
    }
}

/// The rows of an answer, in the binary format.
final class PostgresRows {
    fileprivate let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { PQclear(handle) }

    var count: Int { Int(PQntuples(handle)) }

    func map<Value>(_ read: (inout PostgresRow) throws -> Value) rethrows -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(count)
        try each { try values.append(read(&$0)) }
        return values
    }

    func each(_ read: (inout PostgresRow) throws -> Void) rethrows {
        for number in 0..<PQntuples(handle) {
            var row = PostgresRow(handle, number)
            try read(&row)
        }
    }

    /// What the first row has; `nil` without one.
    func first<Value>(_ read: (inout PostgresRow) throws -> Value) rethrows -> Value? {
        guard count > 0 else { return nil }
        var row = PostgresRow(handle, 0)
        return try read(&row)
    }
}

extension PostgresRows {
    /// The first column of the first row, of a script, whose answers are text.
    var firstText: String? { count > 0 ? String(cString: PQgetvalue(handle, 0, 0)) : nil }
}

/// A row whose columns are read one after another.
struct PostgresRow {
    /// SUB, which no text has without a reason.
    static let escape: UInt8 = 0x1A

    private let handle: OpaquePointer
    private let number: Int32
    private var column: Int32 = 0

    fileprivate init(_ handle: OpaquePointer, _ number: Int32) {
        (self.handle, self.number) = (handle, number)
    }

    /// Whether the next column is NULL. It isn't taken.
    var isNull: Bool { PQgetisnull(handle, number, column) == 1 }

    mutating func skip() { column += 1 }

    mutating func integerIfPresent() throws -> Int64? {
        try take { bytes in
            switch bytes.count {
            case 8: Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
            case 4: Int64(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
            default: nil
            }
        }
    }

    mutating func integer() throws -> Int64 { try present(integerIfPresent()) }

    mutating func boolean() throws -> Bool { try present(take { $0.first.map { $0 != 0 } }) }

    mutating func textIfPresent() throws -> String? {
        try take { bytes in
            guard bytes.contains(Self.escape) else { return String(validating: bytes, as: UTF8.self) }
            var unescaped: [UInt8] = []
            var isEscaped = false
            for byte in bytes {
                if !isEscaped, byte == Self.escape {
                    isEscaped = true
                } else {
                    unescaped.append(isEscaped && byte == UInt8(ascii: "0") ? 0 : byte)
                    isEscaped = false
                }
            }
            return String(validating: unescaped, as: UTF8.self)
        }
    }

    mutating func text() throws -> String { try present(textIfPresent()) }

    /// The error for the value that was read last, when it cannot be what it says.
    func malformed() -> DatabaseError {
        let name = PQfname(handle, column - 1).map { String(cString: $0) } ?? "\(column)"
        return DatabaseError(
            resultCode: .corrupt,
            message: "malformed value in the column \(name)",
            sqlState: "XX001"
        )
    }

    private mutating func take<Value>(_ read: (UnsafeRawBufferPointer) -> Value?) throws -> Value? {
        let isNull = self.isNull
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(handle, number, column),
            count: Int(PQgetlength(handle, number, column))
        )
        column += 1
        if isNull { return nil }
        guard let value = read(bytes) else { throw malformed() }
        return value
    }

    private func present<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw malformed() }
        return value
    }
}
#endif
