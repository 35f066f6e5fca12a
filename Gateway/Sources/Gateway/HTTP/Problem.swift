import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import WhatsAppSessions

/// An error response: problem details (RFC 9457).
struct Problem: Error {
    var status: HTTPResponse.Status
    /// The problem's name, which never changes, such as `session_not_found`.
    var code: String
    /// What is wrong and what to do, in a sentence. It never repeats a value that might be a credential.
    var detail: String
    var headers: HTTPFields = [:]
    /// Who serves the session that was asked for.
    var holder: String?

    static func badRequest(_ code: String, _ detail: String) -> Problem {
        Problem(status: .badRequest, code: code, detail: detail)
    }

    static let readOnly = Problem(
        status: .forbidden,
        code: "read_only",
        detail: "This token only reads, and sees no QR codes: send the other one."
    )

    static let splitID = Problem(
        status: .notFound,
        code: "no_such_route",
        detail: """
            There is no such path. If the id has a slash, send it as %2F, and have the proxy pass the path on as it came: in nginx by a \
            proxy_pass without a path.
            """
    )

    static let sessionNotFound = Problem(
        status: .notFound,
        code: "session_not_found",
        detail:
            "There is no session with this id: create it first. If a worker's event is from a deleted session, drop it."
    )

    static func notTheHolder(_ holder: String? = nil) -> Problem {
        Problem(
            status: .unprocessableContent,
            code: "not_the_holder",
            detail: "Another worker serves this session: drop the event, and close the socket.",
            holder: holder
        )
    }

    static let stopped = Problem(
        status: .unprocessableContent,
        code: "stopped",
        detail: "An operator stopped this session: close its socket, and keep the account's credentials."
    )

    static let toBePaired = Problem(
        status: .unprocessableContent,
        code: "to_be_paired",
        detail:
            "An operator wants to link another account: remove the credentials of this one, and open a socket that shows a code."
    )

    static let noLease = Problem(
        status: .unprocessableContent,
        code: "lease_lost",
        detail:
            "This worker has no lease: open /changes?worker=NAME, and claim its sessions under the lease in the first event."
    )

    static let databaseAway = Problem(
        status: .serviceUnavailable,
        code: "database_busy",
        detail: "The database is away, or another program holds it: try again in a moment.",
        headers: [.retryAfter: "1"]
    )

    static func tooLarge(_ limit: Int) -> Problem {
        Problem(
            status: .contentTooLarge,
            code: "body_too_large",
            detail:
                "A body may have at most \(limit) bytes: leave out what the gateway doesn't read, such as error.data."
        )
    }
}

extension Problem {
    /// Maps an error of the library or of Hummingbird to a problem.
    init(_ error: any Error) {
        switch error {
        case let problem as Problem:
            self = problem
        case is SessionNotFoundError:
            self = .sessionNotFound
        case is SessionAlreadyExistsError:
            self.init(
                status: .conflict,
                code: "session_already_exists",
                detail: "There is a session with this id: update it, delete it first, or choose another id."
            )
        case let error as InvalidSessionUpdateError:
            self.init(status: .unprocessableContent, code: error.reason.code, detail: "\(error.reason)")
        case let error as SessionTakenError:
            self.init(
                status: .conflict,
                code: "taken",
                detail: "Another worker serves this session: leave it alone until its holder changes.",
                holder: error.holder
            )
        case let error as LeaseLostError:
            self = error.sessionID == nil ? .noLease : .notTheHolder()
        case let error as DatabaseError:
            self.init(error)
        case is NIOTooManyBytesError:
            self = .tooLarge(Request.maximumBodySize)
        case is HTTPParserError:
            self = .badRequest("malformed_request", "This is no HTTP: the body's length or chunks are malformed.")
        case let error as HTTPError where error.status == .notFound:
            self.init(
                status: .notFound,
                code: "no_such_route",
                detail: "There is no such path: openapi.yaml lists them."
            )
        case let error as HTTPError:
            self.init(status: error.status, code: "bad_request", detail: "The request cannot be read.")
        default:
            self.init(status: .internalServerError, code: "internal", detail: "The gateway failed: its log says more.")
        }
    }

    private init(_ error: DatabaseError) {
        switch error.resultCode {
        case .busy where error.isOutcomeUnknown:
            self.init(
                status: .serviceUnavailable,
                code: "outcome_unknown",
                detail: "The database was lost on the way: look whether the change was made, or make it again.",
                headers: [.retryAfter: "1"]
            )
        case .busy:
            self = .databaseAway
        case .misuse:
            self.init(
                status: .serviceUnavailable,
                code: "database_closed",
                detail: "The gateway is stopping, or its file was moved: its log says which."
            )
        case .full:
            self.init(
                status: .init(code: 507, reasonPhrase: "Insufficient Storage"),
                code: "disk_full",
                detail: "The disk is full, and nothing was changed: free some space and try again."
            )
        default:
            self.init(
                status: .internalServerError,
                code: "database",
                detail: "The database failed: the gateway's log says more."
            )
        }
    }
}

extension Problem: ResponseGenerator {
    private struct Details: Encodable {
        let type = "about:blank"
        let title: String, status: Int, detail: String, code: String, holder: String?
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        let details = Details(
            title: status.reasonPhrase,
            status: status.code,
            detail: detail,
            code: code,
            holder: holder
        )
        var response = try Response.json(details, status: status)
        response.headers.append(contentsOf: headers)
        response.headers[.contentType] = "application/problem+json"
        return response
    }
}
