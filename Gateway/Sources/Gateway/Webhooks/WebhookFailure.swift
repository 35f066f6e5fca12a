import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix

/// Why a receiver did not take a message.
enum WebhookFailure: CustomStringConvertible {
    case status(UInt)
    case error(any Error)

    /// The status of an answer that says that this message will not be taken; `nil` when it may be later.
    var refusal: UInt? {
        guard case .status(let status) = self, (400..<500).contains(status) else { return nil }
        // It asks to wait: a timeout, too early, too many requests.
        return [408, 425, 429].contains(status) ? nil : status
    }

    /// Whether the receiver had closed a connection that was kept open.
    var isClosedConnection: Bool {
        switch self {
        case .error(let error as HTTPClientError): error == .remoteConnectionClosed
        case .error(let error as IOError): [ECONNRESET, EPIPE].contains(error.errnoCode)
        default: false
        }
    }

    /// In words, without the URL, which may hold a secret.
    var description: String {
        switch self {
        case .status(let status): "it answered \(status)"
        case .error(let error as HTTPClientError):
            switch error {
            case .connectTimeout, .deadlineExceeded, .readTimeout: "no answer in time"
            case .remoteConnectionClosed: "it closed the connection"
            default: "\(error)"
            }
        case .error(let error as NIOConnectionError):
            error.connectionErrors.first.map { Self.error($0.error).description } ?? "there is no address for its name"
        case .error(let error as IOError): String(cString: strerror(error.errnoCode))
        case .error(let error) where "\(error)".contains("CERTIFICATE_VERIFY_FAILED"):
            "its certificate can't be verified: is the issuer among this machine's (ca-certificates)?"
        // A certificate's error names the certificate.
        case .error(let error): "\(type(of: error))"
        }
    }
}
