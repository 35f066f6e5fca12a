// Package events has the types of whatsmeow that the worker uses, with their fields.
package events

import (
	"time"

	"go.mau.fi/whatsmeow/types"
)

type ConnectFailureReason int
type TempBanReason int

type QR struct{ Codes []string }
type PairSuccess struct {
	ID, LID                types.JID
	BusinessName, Platform string
}
type PairError struct {
	ID, LID                types.JID
	BusinessName, Platform string
	Error                  error
}
type QRScannedWithoutMultidevice struct{}
type Connected struct{}
type KeepAliveTimeout struct {
	ErrorCount  int
	LastSuccess time.Time
}
type KeepAliveRestored struct{}
type LoggedOut struct {
	OnConnect bool
	Reason    ConnectFailureReason
}
type StreamReplaced struct{}
type ManualLoginReconnect struct{}
type TemporaryBan struct {
	Code   TempBanReason
	Expire time.Duration
}
type ConnectFailure struct {
	Reason  ConnectFailureReason
	Message string
}
type ClientOutdated struct{}
type CATRefreshError struct{ Error error }
type StreamError struct{ Code string }
type Disconnected struct{}
type PushNameSetting struct {
	Timestamp time.Time
	Action    *struct {
		Name string `json:"name,omitempty"`
	}
}
type NotifyAccountReachoutTimelock struct {
	EnforcementType     string `json:"enforcement_type,omitempty"`
	IsActive            bool   `json:"is_active,omitempty"`
	TimeEnforcementEnds string `json:"time_enforcement_ends,omitempty"`
}
type Message struct{ Text string }
