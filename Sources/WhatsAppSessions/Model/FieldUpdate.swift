/// What an update does with a field that can be empty.
///
/// Printing one never shows its value, which may be a QR code.
public enum FieldUpdate<Value> {
    /// The field keeps its value.
    case unchanged
    /// The field takes this value.
    case set(Value)
    /// The field becomes `nil`.
    case clear

    /// Sets a value that is present, and leaves the field unchanged otherwise.
    public init(ifPresent value: Value?) {
        self = if let value { .set(value) } else { .unchanged }
    }

    var isChange: Bool {
        if case .unchanged = self { false } else { true }
    }

    var newValue: Value? {
        if case .set(let value) = self { value } else { nil }
    }
}

extension FieldUpdate: Equatable where Value: Equatable {}
extension FieldUpdate: Hashable where Value: Hashable {}
extension FieldUpdate: Sendable where Value: Sendable {}

extension FieldUpdate: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `unchanged`, `set` or `clear`.
    public var description: String {
        switch self {
        case .unchanged: "unchanged"
        case .set: "set"
        case .clear: "clear"
        }
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// A mirror without the value.
    public var customMirror: Mirror { Mirror(self, children: [], displayStyle: .enum) }
}
