import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// The page, in one piece without foreign resources.
enum Page {
    private static let style = String(decoding: PackageResources.page_css, as: UTF8.self)
    /// What is the page's in one script: first the words, then what is known, what is drawn, what can be done, and what begins it all.
    private static let script = [
        PackageResources.words_js, PackageResources.sessions_js, PackageResources.list_js, PackageResources.panel_js,
        PackageResources.actions_js, PackageResources.attention_js, PackageResources.stream_js,
    ].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        .replacingOccurrences(of: "{/* reasons */}", with: reasons)

    private static var reasons: String {
        let words = KnownReason.allCases.map { ($0.rawValue, ["title": $0.words.title, "advice": $0.words.advice]) }
        // Texts in a dictionary can always be encoded.
        return String(decoding: try! JSONEncoder.gateway.encode(Dictionary(uniqueKeysWithValues: words)), as: UTF8.self)
    }

    private static let document = String(decoding: PackageResources.page_html, as: UTF8.self)
        .replacingOccurrences(of: "/* page.css */", with: style)
        .replacingOccurrences(of: "/* scripts */", with: script)

    /// Only this style and this script run, and nothing is loaded from elsewhere.
    private static let policy = [
        "default-src 'none'",
        "script-src '\(hash(script))'",
        "style-src '\(hash(style))'",
        "connect-src 'self'",
        "img-src blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ].joined(separator: "; ")

    static let response = Response(
        status: .ok,
        headers: [
            .contentType: "text/html; charset=utf-8",
            .contentSecurityPolicy: policy,
            .referrerPolicy: "no-referrer",
            .cacheControl: "no-cache",
        ],
        body: ResponseBody(byteBuffer: ByteBuffer(string: document))
    )

    private static func hash(_ text: String) -> String {
        "sha256-" + Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString()
    }
}

extension HTTPField.Name {
    fileprivate static let referrerPolicy = Self("Referrer-Policy")!
}
