// Package whatsmeow stands in for the library: each client emits what LIFE says, as whatsmeow would.
package whatsmeow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
)

type EventHandler func(event any)

type QRChannelItem struct {
	Event   string
	Error   error
	Code    string
	Timeout time.Duration
}

type Client struct {
	Store   *store.Device
	handler EventHandler
	items   chan QRChannelItem
	number  int
	mutex   sync.Mutex
	isDown  bool
}

var (
	counter sync.Mutex
	clients int
)

func NewClient(device *store.Device, log waLog.Logger) *Client {
	counter.Lock()
	defer counter.Unlock()
	clients++
	fmt.Printf("client %d %t\n", clients, device.ID != nil)
	return &Client{Store: device, number: clients}
}

func (client *Client) AddEventHandler(handler EventHandler) uint32 {
	client.handler = handler
	return 1
}

func (client *Client) GetQRChannel(ctx context.Context) (<-chan QRChannelItem, error) {
	client.items = make(chan QRChannelItem, 8)
	return client.items, nil
}

// Connect plays the client's life: [seconds after the one before, event's name, its JSON].
func (client *Client) Connect() error {
	var lives [][][]json.RawMessage
	if err := json.Unmarshal([]byte(os.Getenv("LIFE")), &lives); err != nil {
		panic(err)
	}
	life := lives[len(lives)-1]
	if client.number <= len(lives) {
		life = lives[client.number-1]
	}
	if len(life) > 0 && string(life[0][1]) == `"no network"` {
		return errors.New("no network")
	}
	go func() {
		for _, line := range life {
			var seconds float64
			var name string
			_ = json.Unmarshal(line[0], &seconds)
			_ = json.Unmarshal(line[1], &name)
			time.Sleep(time.Duration(seconds * float64(time.Second)))
			client.mutex.Lock()
			isDown := client.isDown
			client.mutex.Unlock()
			if isDown {
				return
			}
			client.emit(name, line[2])
		}
	}()
	return nil
}

func (client *Client) emit(name string, data json.RawMessage) {
	if name == "QRChannelItem" {
		var item struct{ Event, Code string }
		_ = json.Unmarshal(data, &item)
		client.items <- QRChannelItem{Event: item.Event, Code: item.Code, Timeout: time.Minute}
		return
	}
	makers := map[string]func() any{
		"PairSuccess": func() any { return &events.PairSuccess{} }, "Connected": func() any { return &events.Connected{} },
		"Disconnected": func() any { return &events.Disconnected{} }, "LoggedOut": func() any { return &events.LoggedOut{} },
		"StreamReplaced":    func() any { return &events.StreamReplaced{} },
		"TemporaryBan":      func() any { return &events.TemporaryBan{} },
		"KeepAliveTimeout":  func() any { return &events.KeepAliveTimeout{} },
		"KeepAliveRestored": func() any { return &events.KeepAliveRestored{} },
		"PushNameSetting":   func() any { return &events.PushNameSetting{} },
		"Message":           func() any { return &events.Message{} },
	}
	event := makers[name]()
	if err := json.Unmarshal(data, event); err != nil {
		panic(err)
	}
	switch event := event.(type) {
	case *events.PairSuccess:
		_ = os.WriteFile(event.ID.String(), nil, 0o600)
		client.Store.ID = &event.ID
	case *events.LoggedOut:
		// whatsmeow deletes the device itself.
		if client.Store.ID != nil {
			_ = os.Remove(client.Store.ID.String())
		}
	}
	start := time.Now()
	client.handler(event)
	if time.Since(start) > 100*time.Millisecond {
		fmt.Printf("blocked by %s\n", name)
	}
}

func (client *Client) Disconnect() {
	client.mutex.Lock()
	client.isDown = true
	client.mutex.Unlock()
	fmt.Printf("end %d\n", client.number)
}

func (client *Client) Logout(ctx context.Context) error {
	fmt.Printf("logout %d\n", client.number)
	client.Disconnect()
	if client.Store.ID != nil {
		return os.Remove(client.Store.ID.String())
	}
	return nil
}
