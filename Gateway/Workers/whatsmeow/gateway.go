package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Session is a session as the gateway tells it, as far as a worker cares.
type Session struct {
	ID               string `json:"id"`
	Status           string `json:"status"`
	Holder           string `json:"holder"`
	Wish             string `json:"wish"`
	NeedsSocket      bool   `json:"needsSocket"`
	Linked           bool   `json:"linked"`
	DisconnectReason *struct {
		Text string `json:"text"`
	} `json:"disconnectReason"`
}

var (
	// ErrLost means that another worker serves the session, that an operator stopped it, or that the lease is over: close the
	// socket.
	ErrLost = errors.New("another worker serves the session")
	// ErrDeleted means that there is no such session any more.
	ErrDeleted = errors.New("the session was deleted")
	// ErrLate means that the event came too late, and is to be dropped.
	ErrLate = errors.New("the event came too late")
)

// Gateway is the gateway as a worker sees it.
type Gateway struct {
	url, token, worker string
	client             *http.Client

	mutex sync.Mutex
	lease string
	ends  time.Time // zero before the first lease
	ended bool      // whether the follower was told that the lease is over
	lasts time.Duration
	turns map[string]*turn
}

// turn is what waits to be done for one session.
type turn struct {
	waiting []func()
}

// NewGateway takes GATEWAY and GATEWAY_TOKEN from the environment.
func NewGateway(worker string) *Gateway {
	address := os.Getenv("GATEWAY")
	if address == "" {
		address = "http://127.0.0.1:3000"
	}
	return &Gateway{
		url: address, token: os.Getenv("GATEWAY_TOKEN"), worker: worker,
		client: &http.Client{Timeout: 90 * time.Second}, turns: map[string]*turn{},
	}
}

// InTurn runs what is done for one session one after the other, and never blocks its caller.
func (gateway *Gateway) InTurn(id string, action func()) {
	gateway.mutex.Lock()
	defer gateway.mutex.Unlock()
	if waiting, isBusy := gateway.turns[id]; isBusy {
		waiting.waiting = append(waiting.waiting, action)
		return
	}
	gateway.turns[id] = &turn{waiting: []func(){action}}
	go func() {
		for {
			gateway.mutex.Lock()
			mine := gateway.turns[id]
			if len(mine.waiting) == 0 {
				delete(gateway.turns, id)
				gateway.mutex.Unlock()
				return
			}
			next := mine.waiting[0]
			mine.waiting = mine.waiting[1:]
			gateway.mutex.Unlock()
			next()
		}
	}()
}

// Report posts an event until the gateway has it. The session is nil when the event says nothing.
func (gateway *Gateway) Report(id, event string, data any, at time.Time) (*Session, error) {
	return gateway.send(id, "/events", map[string]any{"event": event, "data": data, "at": at.UnixMilli()})
}

// Claim claims a session, before its socket is opened.
func (gateway *Gateway) Claim(id string) (*Session, error) {
	return gateway.send(id, "/claim", map[string]any{})
}

// IsFree is whether this worker may serve a session, as far as it is known.
func (gateway *Gateway) IsFree(session Session) bool {
	return session.Holder == "" || session.Holder == gateway.worker
}

func (gateway *Gateway) send(id, path string, content map[string]any) (*Session, error) {
	for attempt := 0; ; attempt++ {
		if gateway.isOver() {
			return nil, ErrLost
		}
		content["worker"] = gateway.worker
		if lease := gateway.currentLease(); lease != "" {
			content["lease"] = lease
		}
		body, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		session, err := gateway.post("/sessions/"+url.PathEscape(id)+path, body)
		if err != errAgain {
			return session, err
		}
		time.Sleep(pauseBefore(attempt))
	}
}

var errAgain = errors.New("the gateway cannot be reached")

func (gateway *Gateway) post(path string, body []byte) (*Session, error) {
	request, err := gateway.request(context.Background(), http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := gateway.client.Do(request)
	if err != nil {
		return nil, errAgain
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, errAgain
	}
	switch response.StatusCode {
	case http.StatusOK:
		var session Session
		if json.Unmarshal(answer, &session) != nil || session.ID == "" {
			return nil, errAgain // a proxy's page
		}
		return &session, nil
	case http.StatusNoContent:
		return nil, nil
	}
	var problem struct{ Code string }
	_ = json.Unmarshal(answer, &problem)
	switch {
	case problem.Code == "session_not_found":
		return nil, ErrDeleted
	case problem.Code == "not_the_holder", problem.Code == "lease_lost", problem.Code == "taken",
		problem.Code == "stopped":
		return nil, ErrLost
	case problem.Code != "" && response.StatusCode == http.StatusUnprocessableEntity:
		return nil, ErrLate
	case problem.Code != "" && response.StatusCode < 500 && response.StatusCode != http.StatusUnauthorized:
		// A proxy's answer may pass, and so does a token that is being changed; what else the gateway refused doesn't get better.
		return nil, fmt.Errorf("the gateway answered %d, %s", response.StatusCode, problem.Code)
	}
	return nil, errAgain
}

func (gateway *Gateway) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, gateway.url+path, body)
	if err == nil && gateway.token != "" {
		request.Header.Set("Authorization", "Bearer "+gateway.token)
	}
	return request, err
}

func pauseBefore(attempt int) time.Duration {
	pauses := []time.Duration{1, 2, 4, 8, 10}
	if attempt >= len(pauses) {
		attempt = len(pauses) - 1
	}
	return pauses[attempt] * time.Second
}

// Follower is told what happens to the sessions.
type Follower interface {
	// All is every session: at first, with a new lease, and whenever the place in the journal is lost.
	All(sessions []Session)
	Changed(session Session)
	Deleted(id string)
	// Over is called when the lease is over: others may serve the sessions from now on, so close every socket.
	Over()
}

// Follow follows the sessions for ever.
func (gateway *Gateway) Follow(follower Follower) {
	go gateway.watchLease(follower)
	cursor := ""
	for attempt := 0; ; attempt++ {
		isNew, isReady, err := gateway.follow(&cursor, follower)
		if isReady {
			attempt = 0
		}
		if isNew {
			cursor = ""
			continue
		}
		log.Printf("no stream of changes: %v", err)
		time.Sleep(pauseBefore(attempt))
	}
}

func (gateway *Gateway) watchLease(follower Follower) {
	for range time.Tick(250 * time.Millisecond) {
		if !gateway.isOver() {
			continue
		}
		gateway.mutex.Lock()
		isNews := !gateway.ended
		gateway.ended = true
		gateway.mutex.Unlock()
		if isNews {
			follower.Over()
		}
	}
}

// follow reads one stream to its end. It is new when the lease is another one than before, or was thought to be over: then every
// session is looked at again.
func (gateway *Gateway) follow(cursor *string, follower Follower) (isNew, isReady bool, err error) {
	query := url.Values{"worker": {gateway.worker}}
	if lease := gateway.currentLease(); lease != "" {
		query.Set("lease", lease)
	}
	if *cursor != "" {
		query.Set("after", *cursor)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	watchdog := time.AfterFunc(gateway.patience(), cancel)
	defer watchdog.Stop()
	request, err := gateway.request(ctx, http.MethodGet, "/changes?"+query.Encode(), nil)
	if err != nil {
		return false, false, err
	}
	asked := time.Now()
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return false, false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, false, fmt.Errorf("the gateway answered %d", response.StatusCode)
	}
	var arriving []Session
	isArriving := false
	event, id, data := "", "", ""
	var zero *time.Time // when the gateway's clock was 0, at the latest
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false, isReady, err
		}
		watchdog.Reset(gateway.patience())
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "event":
				event = value
			case "id":
				id = value
			case "data":
				data = value
			}
			continue
		}
		switch event {
		case "lease":
			if gateway.hold(data, asked, &zero) && *cursor != "" {
				return true, isReady, nil
			}
		case "reset":
			arriving, isArriving = nil, true
		case "session":
			var session Session
			if err := json.Unmarshal([]byte(data), &session); err != nil {
				return false, isReady, err
			}
			if isArriving {
				arriving = append(arriving, session)
			} else {
				follower.Changed(session)
			}
		case "deleted":
			var session Session
			if err := json.Unmarshal([]byte(data), &session); err != nil {
				return false, isReady, err
			}
			follower.Deleted(session.ID)
		case "ready":
			if isArriving {
				follower.All(arriving)
			}
			isArriving, isReady = false, true
		}
		if id != "" {
			*cursor = id
		}
		event, id, data = "", "", ""
	}
}

// hold notes a lease or its renewal. It is counted from before the request, so that it is never thought to last longer than it does.
func (gateway *Gateway) hold(data string, asked time.Time, zero **time.Time) (isNew bool) {
	var news struct {
		Lease   string
		Seconds float64
		Clock   float64
	}
	if err := json.Unmarshal([]byte(data), &news); err != nil {
		log.Printf("a lease cannot be read: %v", err)
		return false
	}
	seconds := func(count float64) time.Duration { return time.Duration(count * float64(time.Second)) }
	if *zero == nil {
		start := asked.Add(-seconds(news.Clock))
		*zero = &start
	}
	wasOver := gateway.isOver()
	gateway.mutex.Lock()
	defer gateway.mutex.Unlock()
	gateway.ends = (*zero).Add(seconds(news.Clock + news.Seconds))
	gateway.ended = false
	gateway.lasts = seconds(news.Seconds)
	isNew = wasOver || (gateway.lease != "" && gateway.lease != news.Lease)
	gateway.lease = news.Lease
	return isNew
}

// patience is for how long the gateway may be silent. A renewal comes at each third of a lease. Once two are missing, there is time to find
// another gateway before the lease is over.
func (gateway *Gateway) patience() time.Duration {
	gateway.mutex.Lock()
	defer gateway.mutex.Unlock()
	if gateway.lasts == 0 || gateway.lasts > time.Minute {
		return 40 * time.Second
	}
	return gateway.lasts * 2 / 3
}

func (gateway *Gateway) currentLease() string {
	gateway.mutex.Lock()
	defer gateway.mutex.Unlock()
	return gateway.lease
}

func (gateway *Gateway) isOver() bool {
	gateway.mutex.Lock()
	defer gateway.mutex.Unlock()
	// By the clock, which goes on while the machine sleeps, and by the one that nobody sets back.
	now := time.Now()
	return !gateway.ends.IsZero() && (now.After(gateway.ends) || now.Round(0).After(gateway.ends.Round(0)))
}
