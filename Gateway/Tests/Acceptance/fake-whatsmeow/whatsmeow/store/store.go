package store

import (
	"context"
	"os"

	"go.mau.fi/whatsmeow/types"
)

type Device struct{ ID *types.JID }

func (device *Device) Delete(ctx context.Context) error { return os.Remove(device.ID.String()) }
