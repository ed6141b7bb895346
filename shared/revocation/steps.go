package revocation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
)

// Next is what a step asks for, as a set of bits.
type Next byte

// What a step may ask for.
const (
	ReportNow  Next = 1 << iota // somebody waits for the word that the watermark rose
	ReportSoon                  // the watermark rose, but nobody waits
	LookForGap                  // something may be missing
)

// Steps are what a node does with each message and at each tick, one at a time:
// a Follower without its goroutines, timers, input and output. Batch, Head,
// Report, Repair and Answer may be called at the same time; Sweep by one
// goroutine only.
type Steps struct {
	View    *View
	Log     *slog.Logger
	Metrics *Metrics
	Now     func() time.Time
	Address string // where the node serves, for the list of nodes
	Version string // of the program
	// KeysStale is called when a message names an events key that is not known.
	KeysStale func()

	nonce atomic.Pointer[string] // the newest one sent
	start time.Time              // of the first Sweep
	ahead time.Duration          // how far the wall clock has run ahead of the monotonic one
	part  int                    // of the set, to be swept next

	seldom Seldom // what of a flood is written to the log
}

// Batch takes in a sealed batch: live, or replayed or asked for.
func (s *Steps) Batch(message []byte, live bool) Next {
	b, rose, err := s.View.TakeBatch(message)
	if err != nil {
		return s.rejected("batch", err)
	}
	var next Next
	switch {
	case rose && live && s.nonce.Load() != nil:
		next = ReportNow
	case rose:
		next = ReportSoon
	}
	if live && len(b.Entries) > 0 {
		s.Metrics.propagated(s.Now().Sub(b.Committed))
	}
	if _, _, _, missing := s.View.Progress.Missing(); missing {
		next |= LookForGap
	}
	return next
}

// Head takes in a sealed head.
func (s *Steps) Head(message []byte) Next {
	outcome, err := s.View.TakeHead(message)
	if err != nil {
		return s.rejected("head", err)
	}
	if outcome == HeadRegressed {
		s.Metrics.reject("regressed")
		if _, write := s.seldom.Next("regressed", s.Now()); write {
			s.Log.Error("the revocation log has lost numbers which this node has applied; waiting for a new epoch")
		}
	}
	return LookForGap
}

// rejected counts a message that changed nothing, and asks for newer keys if
// that may help. What it held is missed by number, and repaired.
func (s *Steps) rejected(what string, err error) Next {
	reason, level := Reason(err), slog.LevelWarn
	s.Metrics.reject(reason)
	if errors.Is(err, ErrUnknownKey) {
		// A node that has just started hears messages before it has the key set.
		level = slog.LevelInfo
		if s.KeysStale != nil {
			s.KeysStale()
		}
	}
	if leftOut, write := s.seldom.Next(what+" "+reason, s.Now()); write {
		s.Log.Log(context.Background(), level, "revocation message refused", "message", what, "reason", reason, "left_out", leftOut)
	}
	return LookForGap
}

// Renew makes a new nonce; it is sent with the next report.
func (s *Steps) Renew() {
	nonce := s.View.Progress.Nonce()
	s.nonce.Store(&nonce)
}

// Report gives the message that tells the auth-service of the newest nonce and
// how far the node has come. There must have been a Renew. A report of an
// older watermark must not follow one of a newer, so callers send one at a
// time, from before the call until it is sent.
func (s *Steps) Report() ([]byte, error) {
	at := s.View.Progress.Position()
	report := contract.Report{
		V: contract.ReportVersion, Node: s.View.Node, Process: s.View.process, Nonce: *s.nonce.Load(), Address: s.Address, Version: s.Version,
		Epoch: at.Epoch, Applied: at.Applied, Head: at.Head, AgeMillis: -1, Degraded: true,
	}
	if age, known := s.View.Progress.Age(); known {
		report.AgeMillis = float64(age.Microseconds()) / 1000
		report.Degraded = age > SoftLimit
	}
	data, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return data, nil
}

// Crowd is how many nodes there are, as far as the newest head has told.
func (s *Steps) Crowd() int { return int(s.View.crowd.Load()) }

// Repair gives the request for the first run of numbers that is missing; false
// if none is.
func (s *Steps) Repair() (contract.RepairRequest, bool) {
	epoch, from, to, missing := s.View.Progress.Missing()
	return contract.RepairRequest{Node: s.View.Node, Epoch: epoch, From: from, To: to}, missing
}

// Answer takes in what was answered to a request for repair. An error means
// that it brought nothing new, so that to ask again at once is pointless.
func (s *Steps) Answer(message []byte) (Next, error) {
	before := s.View.Progress.Position()
	next := s.Batch(message, false)
	if s.View.Progress.Position() == before {
		return next, errors.New("the answer brought nothing new")
	}
	return next, nil
}

// Sweep removes expired entries from a part of the set, and makes the node
// start over when its wall clock goes back, because it may have removed too
// much.
func (s *Steps) Sweep() Next {
	now := s.Now()
	if s.start.IsZero() {
		s.start = now
	}
	var next Next
	slip := now.Round(0).Sub(s.start.Round(0)) - now.Sub(s.start)
	s.ahead = max(s.ahead, slip)
	if s.ahead-slip > clockSlip {
		s.Log.Error("the wall clock went back; learning all revocations anew", "seconds", (s.ahead - slip).Seconds())
		s.View.Progress.Forget()
		s.ahead = slip
		next = LookForGap
	}
	s.View.Set.Sweep(s.part, now)
	s.part++
	return next
}
