package types

// JID is an address.
type JID struct{ text string }

func ParseJID(text string) (JID, error)       { return JID{text}, nil }
func (jid JID) String() string                { return jid.text }
func (jid JID) MarshalText() ([]byte, error)  { return []byte(jid.text), nil }
func (jid *JID) UnmarshalText(b []byte) error { jid.text = string(b); return nil }
