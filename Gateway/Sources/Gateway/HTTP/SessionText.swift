import Foundation
import WhatsAppSessions

/// JSON of a session by hand: the encoder takes ten times as long, and a list of 10,000 sessions keeps everybody else waiting for as
/// long as that takes. A test compares it with the encoder's, byte for byte.
///
/// Into an array, since a `ByteBuffer` takes half a microsecond for each of many small pieces.
extension [UInt8] {
    mutating func writeSession(_ session: Session, withQRCode: Bool = false) {
        // The order is that of the names.
        writeStaticString("{")
        let start = count
        let pairing = session.qrCode.map { PairingCode.isOne($0) }
        if let date = session.connectedAt { writeDate("\"connectedAt\":\"", date, start) }
        writeDate("\"createdAt\":\"", session.createdAt, start)
        if let reason = session.disconnectReason {
            writeName("\"disconnectReason\":{", start)
            if let code = reason.code { writeString("\"code\":\(code),") }
            writeStaticString("\"text\":")
            writeText(reason.text)
            writeStaticString("}")
        }
        if let holder = session.holder { writeText("\"holder\":", holder, start) }
        writeText("\"id\":", session.id, start)
        writeName(session.isLinked ? "\"linked\":true" : "\"linked\":false", start)
        if let name = session.name { writeText("\"name\":", name, start) }
        writeName(session.needsSocket ? "\"needsSocket\":true" : "\"needsSocket\":false", start)
        if let pairing { writeName(pairing ? "\"pairing\":\"code\"" : "\"pairing\":\"qr\"", start) }
        if let number = session.phoneNumber { writeText("\"phoneNumber\":", number, start) }
        if withQRCode, let code = session.qrCode { writeText("\"qrCode\":", code, start) }
        // The end of the code is known for a QR code only.
        if pairing != true, let date = session.qrCodeExpiresAt { writeDate("\"qrCodeExpiresAt\":\"", date, start) }
        if let date = session.qrCodeReceivedAt { writeDate("\"qrCodeReceivedAt\":\"", date, start) }
        if let restriction = session.restriction { writeText("\"restriction\":", restriction, start) }
        writeText("\"status\":", session.status.rawValue, start)
        writeDate("\"statusChangedAt\":\"", session.statusChangedAt, start)
        if let wish = session.wish { writeText("\"wish\":", wish.rawValue, start) }
        writeStaticString("}")
    }

    /// - Parameter start: Where the object's members begin: all but the first follow a comma.
    private mutating func writeName(_ name: StaticString, _ start: Int) {
        if count > start { writeStaticString(",") }
        writeStaticString(name)
    }

    private mutating func writeText(_ name: StaticString, _ text: String, _ start: Int) {
        writeName(name, start)
        writeText(text)
    }

    private mutating func writeText(_ text: String) {
        writeStaticString("\"")
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            writeString(text)
        } else {
            for byte in text.utf8 { writeEscaped(byte) }
        }
        writeStaticString("\"")
    }

    /// RFC 8259, section 7.
    private mutating func writeEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): writeStaticString("\\\"")
        case UInt8(ascii: "\\"): writeStaticString("\\\\")
        case 0x08: writeStaticString("\\b")
        case 0x09: writeStaticString("\\t")
        case 0x0A: writeStaticString("\\n")
        case 0x0C: writeStaticString("\\f")
        case 0x0D: writeStaticString("\\r")
        case 0..<0x20: writeString((byte < 0x10 ? "\\u000" : "\\u00") + String(byte, radix: 16))
        default: append(byte)
        }
    }

    private mutating func writeDate(_ name: StaticString, _ date: Date, _ start: Int) {
        writeName(name, start)
        writeDate(date)
        writeStaticString("\"")
    }

    /// `2026-03-02T09:01:51.403Z`, as `Date.iso8601`.
    private mutating func writeDate(_ date: Date) {
        let milliseconds = date.millisecondsSince1970
        let (days, rest) = (milliseconds / 86_400_000, milliseconds % 86_400_000)
        // The civil date of a day: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
        let shifted = days + 719_468
        let (era, dayOfEra) = (shifted / 146_097, shifted % 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        writeDigits(year, 4)
        append(UInt8(ascii: "-"))
        writeDigits(month, 2)
        append(UInt8(ascii: "-"))
        writeDigits(day, 2)
        append(UInt8(ascii: "T"))
        writeDigits(rest / 3_600_000, 2)
        append(UInt8(ascii: ":"))
        writeDigits(rest / 60_000 % 60, 2)
        append(UInt8(ascii: ":"))
        writeDigits(rest / 1000 % 60, 2)
        append(UInt8(ascii: "."))
        writeDigits(rest % 1000, 3)
        append(UInt8(ascii: "Z"))
    }

    private mutating func writeDigits(_ number: Int64, _ digits: Int) {
        var unit: Int64 = digits == 4 ? 1000 : digits == 3 ? 100 : 10
        while unit > 0 {
            append(UInt8(ascii: "0") + UInt8(number / unit % 10))
            unit /= 10
        }
    }

    mutating func writeStaticString(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func writeString(_ text: String) { append(contentsOf: text.utf8) }
}
