/// A code of eight characters that a person types into the phone, where no picture can be scanned.
enum PairingCode {
    static func isOne(_ text: String) -> Bool {
        // Not by a regular expression, which takes microseconds.
        let bytes = Array(text.utf8.prefix(10))
        let letters = bytes.count == 9 && bytes[4] == UInt8(ascii: "-") ? bytes[..<4] + bytes[5...] : bytes[...]
        return letters.count == 8
            && letters.allSatisfy {
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
    }
}
