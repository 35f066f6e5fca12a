/// A value that holds a credential. Whatever prints it (`print`, `dump`, a logger, a failed test) shows the children of
/// `customMirror`, which leave the credential out.
protocol Redacted: CustomReflectable, CustomStringConvertible, CustomDebugStringConvertible {}

extension Redacted {
    /// Printed in place of a credential.
    static var hidden: String { "(hidden)" }

    /// The fields, without the credential.
    public var description: String {
        let fields = customMirror.children.compactMap { child in child.label.map { "\($0): \(child.value)" } }
        return "\(Self.self)(\(fields.joined(separator: ", ")))"
    }

    /// The same as `description`.
    public var debugDescription: String { description }
}
