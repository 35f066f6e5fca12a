package store

import "go.mau.fi/whatsmeow/types"

type Device struct{ ID *types.JID }
