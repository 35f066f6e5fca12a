/// Random numbers that are the same in every run, so that instruction counts are.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Used by the one task that prepares what is measured.
nonisolated(unsafe) private var generator = SplitMix(state: 1)

private func randomText(_ count: Int, of characters: String) -> String {
    let characters = Array(characters.utf8)
    return String(decoding: (0..<count).map { _ in characters.randomElement(using: &generator)! }, as: UTF8.self)
}

/// As many random ids of 36 characters, like a UUID.
func randomIDs(_ count: Int) -> [String] {
    (0..<count).map { _ in randomText(36, of: "0123456789abcdef") }
}

/// A QR code of 240 characters.
func randomQRCode() -> String {
    randomText(240, of: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}

extension Array {
    /// As many elements by chance; one may come more than once.
    func sample(_ count: Int) -> [Element] { (0..<count).map { _ in randomElement(using: &generator)! } }

    func shuffledAgain() -> [Element] { shuffled(using: &generator) }
}
