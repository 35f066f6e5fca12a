/// The events of Baileys and whatsmeow that say nothing about a session. A worker may post them; the gateway reads none of it.
enum SilentEvents {
    static func contains(_ name: String) -> Bool {
        baileys.contains(name) || whatsmeow.contains(name.split(separator: ".").last.map(String.init) ?? "")
    }

    /// `BaileysEventMap`, read in Baileys 7.0.0-rc13.
    private static let baileys = names(
        """
        blocklist.set blocklist.update call chats.delete chats.lock chats.update chats.upsert contacts.update contacts.upsert \
        group-participants.update group.join-request group.member-tag.update groups.update groups.upsert labels.association \
        labels.edit lid-mapping.update message-receipt.update messages.delete messages.media-update messages.reaction \
        messages.update messages.upsert messaging-history.set messaging-history.status newsletter-participants.update \
        newsletter-settings.update newsletter.reaction newsletter.view presence.update settings.update
        """
    )

    /// `types/events`, read in 2026-08.
    private static let whatsmeow = names(
        """
        AppState AppStateSyncComplete AppStateSyncError Archive Blocklist BusinessName CallAccept CallOffer CallOfferNotice \
        CallPreAccept CallReject CallRelayLatency CallTerminate CallTransport ChatPresence ClearChat Contact DeleteChat \
        DeleteForMe FBMessage GroupInfo HistorySync IdentityChange JoinedGroup LabelAssociationChat LabelAssociationMessage \
        LabelEdit MarkChatAsRead MediaRetry Message Mute NewsletterJoin NewsletterLeave NewsletterLiveUpdate \
        NewsletterMuteChange OfflineSyncCompleted OfflineSyncPreview Picture Pin Presence PrivacySettings PushName Receipt Star \
        UnarchiveChatsSetting UndecryptableMessage UnknownCallEvent UserAbout UserStatusMute
        """
    )

    private static func names(_ text: String) -> Set<String> { Set(text.split(separator: " ").map(String.init)) }
}
