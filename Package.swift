// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "whatsapp-sessions",
    // `String(validating:as:)`, which refuses a damaged text without a copy, is in the standard library from here on.
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "WhatsAppSessions", targets: ["WhatsAppSessions"])
    ],
    traits: [
        .trait(name: "Postgres", description: "Sessions of several hosts in PostgreSQL. Needs libpq 14 or newer.")
    ],
    targets: [
        .systemLibrary(
            name: "WhatsAppSessionsSQLite",
            providers: [.apt(["libsqlite3-dev"]), .yum(["sqlite-devel"]), .brew(["sqlite"])]
        ),
        .systemLibrary(
            name: "WhatsAppSessionsLibpq",
            providers: [.apt(["libpq-dev"]), .yum(["libpq-devel"]), .brew(["libpq"])]
        ),
        // The few system calls that differ between Linux and macOS.
        .target(name: "WhatsAppSessionsSystem"),
        .target(
            name: "WhatsAppSessions",
            dependencies: [
                "WhatsAppSessionsSQLite", "WhatsAppSessionsSystem",
                .target(name: "WhatsAppSessionsLibpq", condition: .when(traits: ["Postgres"])),
            ],
            // The folder is a link to the top-level `migrations/`, where people look for the schema.
            resources: [.embedInCode("migrations")]
        ),
        .testTarget(
            name: "WhatsAppSessionsTests",
            dependencies: ["WhatsAppSessions", "WhatsAppSessionsSQLite"],
            resources: [.copy("Fixtures")]
        ),
        // What a file of sessions survives, tried on real processes and on a disk that fails: see CONTRIBUTING.md.
        .target(
            name: "WhatsAppSessionsFaults",
            dependencies: ["WhatsAppSessionsSQLite"],
            path: "Tests/Faults"
        ),
        .executableTarget(
            name: "WhatsAppSessionsReliability",
            dependencies: ["WhatsAppSessions", "WhatsAppSessionsSQLite", "WhatsAppSessionsFaults"],
            path: "Tests/Reliability"
        ),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        // An existential costs a box and a dynamic call: it is spelled `any`, so that it is seen.
        .enableUpcomingFeature("ExistentialAny"),
        // libsqlite3 must not leak into the public interface: an import is internal unless it says `public`.
        .enableUpcomingFeature("InternalImportsByDefault"),
        // A member comes from a module that the file itself imports.
        .enableUpcomingFeature("MemberImportVisibility"),
    ]
}
