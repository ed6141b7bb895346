// Package mailbox is where mail goes on a machine that has no mail server: it
// takes letters over SMTP on a loopback address and shows them as JSON.
//
// It decides nothing about who may send or read, and is therefore for
// development and tests alone. It promises to keep the newest letters in
// memory, at most Capacity of them, and to lose them all when it stops. It
// refuses letters over a megabyte and, unless it is told that a container's
// network keeps strangers out, addresses outside the loopback range.
package mailbox

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Capacity is how many letters a Mailbox keeps. An older one makes room for
// each one that is too many.
const Capacity = 1000

// Letter is one letter as one of its recipients received it.
type Letter struct {
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	SentAt  time.Time `json:"sent_at"`
}

// Mailbox keeps the letters. Its zero value is an empty mailbox.
type Mailbox struct {
	mu      sync.Mutex
	letters []Letter // oldest first
}

// Add puts a letter into the mailbox.
func (m *Mailbox) Add(l Letter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.letters) == Capacity {
		copy(m.letters, m.letters[1:])
		m.letters = m.letters[:Capacity-1]
	}
	m.letters = append(m.letters, l)
}

// Letters returns the letters, the newest first.
func (m *Mailbox) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	newest := make([]Letter, 0, len(m.letters))
	for i := len(m.letters) - 1; i >= 0; i-- {
		newest = append(newest, m.letters[i])
	}
	return newest
}

// ServeHTTP answers GET with the letters as a JSON array, the newest first.
func (m *Mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "The mailbox can only be read.", http.StatusMethodNotAllowed)
		return
	}
	body, err := json.Marshal(m.Letters())
	if err != nil {
		http.Error(w, "The mailbox cannot be shown.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A reader that has gone away misses the letters, and nobody else does.
	_, _ = w.Write(body)
}
