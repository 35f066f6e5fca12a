import Foundation

// The database counts as a JavaScript `Date` does: whole milliseconds since 1970, UTC.
extension Date {
    /// The nearest whole millisecond; `nil` when the date is not finite or 64 bits cannot hold it.
    var milliseconds: Int64? { Int64(exactly: (timeIntervalSince1970 * 1000).rounded()) }

    /// The current time.
    static var millisecondsNow: Int64 { Date().millisecondsCutOff }

    /// Whole milliseconds; a part of one is cut off, as in `Date.now()` of JavaScript.
    var millisecondsCutOff: Int64 { Int64(timeIntervalSince1970 * 1000) }

    init(milliseconds: Int64) {
        self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    }
}
