/// An account's number in digits, with the country code.
struct PhoneNumber: Equatable, Sendable {
    let digits: String

    /// The number of an account's address, such as `447700900123:7@s.whatsapp.net`; `nil` for an address that belongs to no phone
    /// number, as a LID's.
    init?(address: String) {
        let parts = address.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, ["s.whatsapp.net", "c.us", "hosted"].contains(parts[1]) else { return nil }
        // Behind the number is the device, and with some versions an agent.
        self.init(digits: parts[0].prefix { $0 != ":" && $0 != "." })
    }

    /// At most 15 digits: ITU-T E.164.
    init?(digits: some StringProtocol) {
        guard (1...15).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        self.digits = String(digits)
    }
}
