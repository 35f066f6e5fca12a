// A worker for whatsmeow: go mod tidy && go run .
//
// GATEWAY and GATEWAY_TOKEN say which gateway, WORKER names this worker. What links the accounts is kept in whatsmeow.db, and which
// account belongs to which session in accounts.json: guard both.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strings"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// Worker serves sessions: one client for each.
type Worker struct {
	gateway   *Gateway
	container *sqlstore.Container

	mutex    sync.Mutex
	accounts map[string]*account  // by the id of the session
	linked   map[string]string    // the account's address, by the id of the session
	ended    map[string]time.Time // when a session's socket ended last
}

type account struct {
	client *whatsmeow.Client
	// What an operator wants, and whether what linked the account before was forgotten already.
	wish  string
	isNew bool
	// Whether it is online, so that it can be logged out.
	isOnline bool
	// The state as it was reported last: for a gateway that was away.
	event string
	data  any
	at    time.Time
}

func main() {
	name := os.Getenv("WORKER")
	if name == "" {
		name = "whatsmeow-1"
	}
	container, err := sqlstore.New(context.Background(), "sqlite3", "file:whatsmeow.db?_foreign_keys=on", waLog.Noop)
	if err != nil {
		log.Fatal(err)
	}
	worker := &Worker{
		gateway: NewGateway(name), container: container, accounts: map[string]*account{}, linked: map[string]string{},
		ended: map[string]time.Time{},
	}
	if text, err := os.ReadFile("accounts.json"); err == nil {
		if err := json.Unmarshal(text, &worker.linked); err != nil {
			log.Fatalf("accounts.json: %v", err)
		}
	}
	worker.gateway.Follow(worker)
}

// All is every session.
func (worker *Worker) All(sessions []Session) {
	ids := map[string]bool{}
	for place, session := range sessions {
		ids[session.ID] = true
		worker.look(session, time.Duration(place)*200*time.Millisecond)
	}
	worker.mutex.Lock()
	var gone []string
	for id, account := range worker.accounts {
		if !ids[id] {
			gone = append(gone, id)
		} else {
			worker.reportAgain(id, account)
		}
	}
	worker.mutex.Unlock()
	for _, id := range gone {
		worker.close(id)
	}
}

// Changed is a session that changed.
func (worker *Worker) Changed(session Session) { worker.look(session, 0) }

// Deleted unlinks the device on the phone too.
func (worker *Worker) Deleted(id string) {
	worker.mutex.Lock()
	account := worker.accounts[id]
	delete(worker.accounts, id)
	if account != nil && account.client != nil {
		worker.forget(id)
	}
	worker.mutex.Unlock()
	if account == nil || account.client == nil {
		worker.gateway.InTurn(id, func() { worker.discard(id) })
		return
	}
	// Not here, where the stream is read; and before another session of this id is served.
	worker.gateway.InTurn(id, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := account.client.Logout(ctx); err != nil {
			account.client.Disconnect()
		}
	})
}

// Over closes every socket: others may serve the sessions from now on.
func (worker *Worker) Over() {
	worker.mutex.Lock()
	var ids []string
	for id := range worker.accounts {
		ids = append(ids, id)
	}
	worker.mutex.Unlock()
	for _, id := range ids {
		worker.close(id)
	}
}

// look gives a session a socket if it needs one. Accounts open one after the other, not all at once.
func (worker *Worker) look(session Session, pause time.Duration) {
	worker.mutex.Lock()
	defer worker.mutex.Unlock()
	if account := worker.accounts[session.ID]; account != nil {
		isNews := account.wish != session.Wish
		account.wish = session.Wish
		if session.Wish != "pair" {
			account.isNew = false
		}
		switch {
		case !worker.gateway.IsFree(session):
			go worker.close(session.ID)
		case session.Wish == "stop":
			go worker.stop(session)
		case session.Status == "disconnected" && !session.NeedsSocket:
			// Somebody stopped it: the socket closes, and what links the account stays.
			go worker.close(session.ID)
		case session.Wish == "logout" && isNews && account.isOnline:
			go worker.logOut(session.ID, account)
		case session.Wish == "pair" && !account.isNew:
			go func() {
				worker.close(session.ID)
				worker.look(session, 0)
			}()
		}
		return
	}
	// This worker has no socket for it, so it is stopped already.
	if session.Wish == "stop" && session.Holder == worker.gateway.worker {
		go worker.stop(session)
		return
	}
	// An account that another worker linked waits for that one.
	isOurs := !session.Linked || worker.linked[session.ID] != ""
	if !session.NeedsSocket || !worker.gateway.IsFree(session) || !isOurs {
		return
	}
	account := &account{}
	worker.accounts[session.ID] = account
	// One that WhatsApp refuses each time is tried once a minute, unless somebody wants it now.
	wait := time.Minute - time.Since(worker.ended[session.ID])
	if session.Status == "disconnected" && session.Wish == "" && wait > pause {
		pause = wait
	}
	time.AfterFunc(pause, func() {
		worker.gateway.InTurn(session.ID, func() { worker.serve(session.ID, account) })
	})
}

// stop closes a socket, and keeps what links the account.
func (worker *Worker) stop(session Session) {
	worker.close(session.ID)
	if session.Status == "disconnected" {
		return
	}
	at := time.Now()
	worker.gateway.InTurn(session.ID, func() {
		data := map[string]any{"status": "disconnected", "reason": "stopped"}
		if _, err := worker.gateway.Report(session.ID, "session", data, at); err != nil {
			log.Printf("a stop was not reported: %v", err)
		}
	})
}

// logOut unlinks the account on the phone. whatsmeow emits no event for that.
func (worker *Worker) logOut(id string, account *account) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := account.client.Logout(ctx); err != nil {
		log.Printf("%s was not logged out: %v", id, err)
		time.AfterFunc(10*time.Second, func() {
			worker.mutex.Lock()
			isWanted := worker.accounts[id] == account && account.isOnline && account.wish == "logout"
			worker.mutex.Unlock()
			if isWanted {
				worker.logOut(id, account)
			}
		})
		return
	}
	worker.report(id, account, "LoggedOut", map[string]any{"Reason": 401})
}

// serve claims a session and opens its socket.
func (worker *Worker) serve(id string, account *account) {
	if !worker.isCurrent(id, account) {
		return
	}
	session, err := worker.gateway.Claim(id)
	if err != nil || session == nil || !session.NeedsSocket {
		worker.drop(id, account)
		return
	}
	worker.mutex.Lock()
	account.wish = session.Wish
	account.isNew = session.Wish == "pair"
	worker.mutex.Unlock()
	if session.Wish == "pair" {
		worker.discard(id)
	}
	device, err := worker.device(id)
	if err != nil {
		log.Printf("%s has no device: %v", id, err)
		worker.drop(id, account)
		return
	}
	client := whatsmeow.NewClient(device, waLog.Noop)
	client.AddEventHandler(func(event any) { worker.handle(id, account, event) })
	worker.mutex.Lock()
	account.client = client
	worker.mutex.Unlock()
	if device.ID == nil {
		// Not linked yet. Before Connect, or the codes are missed.
		items, err := client.GetQRChannel(context.Background())
		if err == nil {
			go func() {
				for item := range items {
					// Not the whole item, whose error is {} in JSON.
					data := map[string]any{"Event": item.Event, "Code": item.Code, "Timeout": item.Timeout}
					worker.report(id, account, "QRChannelItem", data)
				}
			}()
		}
	}
	go worker.connect(id, account)
}

// connect opens the socket, with growing pauses up to a minute. Later whatsmeow reconnects by itself.
func (worker *Worker) connect(id string, account *account) {
	for pause := 2 * time.Second; worker.isCurrent(id, account); {
		worker.report(id, account, "session", map[string]any{"status": "initializing"})
		err := account.client.Connect()
		if !worker.isCurrent(id, account) {
			account.client.Disconnect() // closed meanwhile
			return
		}
		if err == nil {
			return
		}
		worker.report(id, account, "session", map[string]any{"status": "initializing", "reason": err.Error()})
		time.Sleep(pause/2 + time.Duration(rand.Int63n(int64(pause/2))))
		if pause *= 2; pause > time.Minute {
			pause = time.Minute
		}
	}
}

// handle is called by whatsmeow for each event, and must not block.
func (worker *Worker) handle(id string, account *account, event any) {
	leaves := false
	switch event := event.(type) {
	case *events.PairSuccess:
		worker.mutex.Lock()
		worker.linked[id] = event.ID.String()
		worker.save()
		worker.mutex.Unlock()
	case *events.QR:
		return // comes by the channel
	case *events.Connected:
		worker.mutex.Lock()
		account.isOnline = true
		leaves = account.wish == "logout"
		worker.mutex.Unlock()
	case *events.Disconnected:
		worker.mutex.Lock()
		account.isOnline = false
		worker.mutex.Unlock()
	case *events.PairError, *events.QRScannedWithoutMultidevice, *events.PushNameSetting,
		*events.KeepAliveTimeout, *events.KeepAliveRestored, *events.LoggedOut, *events.StreamReplaced,
		*events.ManualLoginReconnect, *events.TemporaryBan, *events.ConnectFailure, *events.ClientOutdated,
		*events.CATRefreshError, *events.StreamError, *events.NotifyAccountReachoutTimelock:
	default:
		return // none of the gateway's business
	}
	worker.report(id, account, strings.TrimPrefix(fmt.Sprintf("%T", event), "*events."), event)
	if leaves {
		go worker.logOut(id, account)
	}
}

// report posts an event after those of the same session that came before, and does what the answer says.
func (worker *Worker) report(id string, account *account, event string, data any) {
	at := time.Now()
	worker.mutex.Lock()
	switch event {
	case "Connected", "Disconnected", "KeepAliveTimeout", "KeepAliveRestored", "QRChannelItem", "session":
		account.event, account.data, account.at = event, data, at
	}
	worker.mutex.Unlock()
	worker.gateway.InTurn(id, func() {
		if !worker.isCurrent(id, account) {
			return
		}
		session, err := worker.gateway.Report(id, event, data, at)
		switch {
		case err == ErrLost, err == ErrDeleted:
			// Deleted, or another worker's: this one lets go of it, and keeps what links the account.
			worker.close(id)
		case err == ErrLate:
		case err != nil:
			log.Printf("%s was not reported: %v", event, err)
		case session != nil && session.Status == "disconnected" && isEnd(event, data):
			worker.close(id)
			worker.mutex.Lock()
			worker.ended[id] = time.Now()
			worker.mutex.Unlock()
			if session.DisconnectReason != nil && session.DisconnectReason.Text == "logged out" {
				worker.mutex.Lock()
				worker.forget(id)
				worker.mutex.Unlock()
			}
		}
	})
}

// isEnd is whether whatsmeow doesn't reconnect after an event.
func isEnd(event string, data any) bool {
	switch event {
	case "LoggedOut", "StreamReplaced", "TemporaryBan", "ConnectFailure", "ClientOutdated", "CATRefreshError", "PairError":
		return true
	case "QRChannelItem":
		item, _ := data.(map[string]any)
		return item["Event"] != "code"
	}
	return false
}

// reportAgain is for a gateway that was away. Called with the lock.
func (worker *Worker) reportAgain(id string, account *account) {
	// A code that is nearly dead is worth nothing, and the next one comes soon.
	if account.event == "" || (account.event == "QRChannelItem" && time.Since(account.at) > 15*time.Second) {
		return
	}
	event, data, at := account.event, account.data, account.at
	worker.gateway.InTurn(id, func() {
		if !worker.isCurrent(id, account) {
			return
		}
		if _, err := worker.gateway.Report(id, event, data, at); err == ErrLost || err == ErrDeleted {
			worker.close(id)
		}
	})
}

func (worker *Worker) isCurrent(id string, account *account) bool {
	worker.mutex.Lock()
	defer worker.mutex.Unlock()
	return worker.accounts[id] == account
}

func (worker *Worker) drop(id string, account *account) {
	worker.mutex.Lock()
	defer worker.mutex.Unlock()
	if worker.accounts[id] == account {
		delete(worker.accounts, id)
	}
}

func (worker *Worker) close(id string) {
	worker.mutex.Lock()
	account := worker.accounts[id]
	delete(worker.accounts, id)
	worker.mutex.Unlock()
	if account != nil && account.client != nil {
		account.client.Disconnect()
	}
}

// device is the account that was linked to a session, or a new one.
func (worker *Worker) device(id string) (*store.Device, error) {
	worker.mutex.Lock()
	address := worker.linked[id]
	worker.mutex.Unlock()
	if address == "" {
		return worker.container.NewDevice(), nil
	}
	jid, err := types.ParseJID(address)
	if err != nil {
		return nil, err
	}
	device, err := worker.container.GetDevice(context.Background(), jid)
	if err == nil && device == nil {
		// whatsmeow deletes a device that was logged out.
		device = worker.container.NewDevice()
	}
	return device, err
}

// discard removes what links an account, for another that is to be linked.
func (worker *Worker) discard(id string) {
	device, err := worker.device(id)
	if err == nil && device.ID != nil {
		err = device.Delete(context.Background())
	}
	if err != nil {
		log.Printf("what linked %s was not removed: %v", id, err)
	}
	worker.mutex.Lock()
	worker.forget(id)
	worker.mutex.Unlock()
}

// forget is called with the lock.
func (worker *Worker) forget(id string) {
	delete(worker.linked, id)
	worker.save()
}

// save is called with the lock. It replaces the file at once, so that a crash leaves the old one or the new one.
func (worker *Worker) save() {
	text, err := json.Marshal(worker.linked)
	if err == nil {
		err = os.WriteFile("accounts.json.new", text, 0o600)
	}
	if err == nil {
		err = os.Rename("accounts.json.new", "accounts.json")
	}
	if err != nil {
		log.Printf("accounts.json was not written: %v", err)
	}
}
