import CQREncode

/// A QR code as a picture.
enum QRCode {
    /// The white modules around the code that a reader needs: ISO/IEC 18004 asks for four.
    private static let quietZone = 4

    /// Draws a text as SVG, black on white, one unit for a module; `nil` when it is longer than a QR code can be, 2,953 bytes.
    ///
    /// It has the lowest level of error correction, as WhatsApp's own codes do: fewer and larger modules read better
    /// on a screen. The corresponding C function is `QRcode_encodeData`.
    static func svg(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        guard let code = QRcode_encodeData(Int32(bytes.count), bytes, 0, QR_ECLEVEL_L) else { return nil }
        defer { QRcode_free(code) }
        let width = Int(code.pointee.width)
        let size = width + 2 * quietZone
        var path = ""
        for row in 0..<width {
            // A run of black modules is one rectangle.
            var column = 0
            while column < width {
                let start = column
                while column < width, code.pointee.data[row * width + column] & 1 == 1 { column += 1 }
                let run = column - start
                if run > 0 { path += "M\(start + quietZone) \(row + quietZone)h\(run)v1h-\(run)z" }
                column += 1
            }
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size) \(size)" shape-rendering="crispEdges">\
            <rect width="\(size)" height="\(size)" fill="#fff"/><path d="\(path)"/></svg>
            """
    }
}
