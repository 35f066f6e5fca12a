import Foundation
import Hummingbird
import NIOCore
import WhatsAppSessions

extension Response {
    /// `{"cursor":…,"damaged":[…],"sessions":[…]}`: all sessions, or those with a status, in pieces that let others in between.
    static func list(
        _ snapshot: SessionBoard.Snapshot,
        _ status: Session.Status?,
        _ context: GatewayContext
    ) throws -> Response {
        let damaged = try JSONEncoder.gateway.encode(snapshot.damages)
        var head = ByteBuffer(string: #"{"cursor":"\#(snapshot.cursor)","damaged":"#)
        head.writeBytes(damaged)
        head.writeStaticString(#","sessions":["#)
        guard snapshot.chunks.count > 1 else {
            if let chunk = snapshot.chunks.first { head.writeImmutableBuffer(chunk.list(status)) }
            head.writeStaticString("]}")
            return .json(head)
        }
        let body = ResponseBody { [head] writer in
            try await writer.write(head)
            var isFirst = true
            for chunk in snapshot.chunks {
                let piece = chunk.list(status)
                guard piece.readableBytes > 0 else { continue }
                if !isFirst { try await writer.write(ByteBuffer(string: ",")) }
                isFirst = false
                try await writer.write(piece, context)
            }
            try await writer.write(ByteBuffer(string: "]}"))
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "application/json"], body: body)
    }

    /// `{"damaged":[…],"next":…,"sessions":[…]}`: a page; `next` is absent in the last.
    static func page(_ page: SessionPage) throws -> Response {
        var text = Array(#"{"damaged":"#.utf8)
        text += try JSONEncoder.gateway.encode(page.damages)
        if let next = page.next { text += #","next":"\#(next)""#.utf8 }
        text += #","sessions":["#.utf8
        for (index, session) in page.sessions.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.writeSession(session)
        }
        text += "]}".utf8
        return .json(ByteBuffer(bytes: text))
    }
}
