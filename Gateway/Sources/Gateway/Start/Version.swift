/// The gateway's version, which `openapi.yaml` has too.
enum Version {
    static let current = "0.2.0"
}
