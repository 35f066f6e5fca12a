// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that its dependencies stay out of the library.
let package = Package(
    name: "Gateway",
    platforms: [.macOS(.v15)],
    traits: [
        .trait(name: "Postgres", description: "Sessions of several gateways in PostgreSQL. Needs libpq 14 or newer.")
    ],
    dependencies: [
        .package(
            name: "whatsapp-sessions",
            path: "..",
            traits: [.trait(name: "Postgres", condition: .when(traits: ["Postgres"]))]
        ),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-async-algorithms.git", from: "1.1.4"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CQREncode",
            pkgConfig: "libqrencode",
            providers: [.apt(["libqrencode-dev"]), .yum(["qrencode-devel"]), .brew(["qrencode"])]
        ),
        .executableTarget(
            name: "Gateway",
            dependencies: [
                "CQREncode",
                .product(name: "WhatsAppSessions", package: "whatsapp-sessions"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            resources: [
                .embedInCode("Page/page.html"),
                .embedInCode("Page/page.css"),
                .embedInCode("Page/words.js"),
                .embedInCode("Page/sessions.js"),
                .embedInCode("Page/list.js"),
                .embedInCode("Page/panel.js"),
                .embedInCode("Page/actions.js"),
                .embedInCode("Page/attention.js"),
                .embedInCode("Page/stream.js"),
            ]
        ),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "WhatsAppSessions", package: "whatsapp-sessions"),
            ],
            // Read where they stand.
            exclude: ["Events"]
        ),
    ],
    swiftLanguageModes: [.v6]
)
