package revocation

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// issuer signs as the auth-service does.
type issuer struct {
	kid string
	key ed25519.PrivateKey
}

func newIssuer(t testing.TB, kid string) issuer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{kid, key}
}

func (i issuer) EventKey(kid string) (ed25519.PublicKey, bool) {
	public, ok := i.key.Public().(ed25519.PublicKey)
	return public, ok && kid == i.kid
}

func (i issuer) batch(b *contract.Batch) []byte {
	return Seal(PurposeBatch, i.kid, i.key, b.Encode())
}

func (i issuer) head(t testing.TB, h contract.Head) []byte {
	t.Helper()
	payload, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return Seal(PurposeHead, i.kid, i.key, payload)
}

func sessionBatch(epoch, first uint64, sessions ...int) *contract.Batch {
	b := &contract.Batch{Epoch: epoch, First: first, Oldest: 1, Committed: start}
	for _, n := range sessions {
		b.Entries = append(b.Entries, contract.Entry{Kind: contract.RevokeSession, Subject: id(n), ExpiresAt: start.Add(time.Hour)})
	}
	return b
}

func TestView_a_sealed_batch_revokes_and_moves_the_watermark(t *testing.T) {
	is := newIssuer(t, "e1")
	v := NewView("node-1", is, time.Now)
	if _, rose, err := v.TakeBatch(is.batch(sessionBatch(1, 1, 7))); err != nil || !rose {
		t.Fatalf("rose %t, error %v", rose, err)
	}
	if got := v.Set.Check(claims(1, 7, 1, 1)); got != Revoked {
		t.Errorf("verdict %d, want revoked", got)
	}
}

func TestView_I13_tells_of_what_it_has_applied(t *testing.T) {
	is := newIssuer(t, "e1")
	v := NewView("node-1", is, time.Now)
	var told []contract.Entry
	v.Applied = func(entries []contract.Entry) {
		if got := v.Set.Check(claims(1, 7, 1, 1)); got != Revoked {
			t.Errorf("told before the set holds the entries: verdict %d", got)
		}
		told = append(told, entries...)
	}
	batch := sessionBatch(1, 1, 7, 8)
	if _, _, err := v.TakeBatch(is.batch(batch)); err != nil || len(told) != 2 || told[1].Subject != id(8) {
		t.Errorf("told of %v, error %v", told, err)
	}
	if _, _, err := v.TakeBatch(is.batch(batch)[:40]); err == nil || len(told) != 2 {
		t.Errorf("told of %v after a broken message, error %v", told, err)
	}
}

func TestView_I8_F39_what_is_not_signed_by_the_issuer_changes_nothing(t *testing.T) {
	is, thief := newIssuer(t, "e1"), newIssuer(t, "e1")
	stranger := newIssuer(t, "e2")
	good := is.batch(sessionBatch(1, 1, 7))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		name    string
		message []byte
		want    error
	}{
		{"another key of the same id", thief.batch(sessionBatch(1, 1, 7)), ErrForged},
		{"a key that is not in the set", stranger.batch(sessionBatch(1, 1, 7)), ErrUnknownKey},
		{"a changed payload", flipped, ErrForged},
		{"a head taken for a batch", is.head(t, contract.Head{V: 1, Epoch: 1, Last: 1}), ErrForged},
		{"a newer format", Seal(PurposeBatch, is.kid, is.key, append([]byte{2}, sessionBatch(1, 1, 7).Encode()[1:]...)), contract.ErrNewerFormat},
		{"nothing", nil, nil},
		{"a truncated message", good[:40], nil},
		{"a truncated payload", Seal(PurposeBatch, is.kid, is.key, sessionBatch(1, 1, 7).Encode()[:9]), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewView("node-1", is, time.Now)
			_, _, err := v.TakeBatch(c.message)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if v.Set.Len() != 0 || v.Progress.Position() != (Position{}) {
				t.Errorf("the view has changed: %d entries, %+v", v.Set.Len(), v.Progress.Position())
			}
		})
	}
}

func TestView_TakeHead(t *testing.T) {
	is := newIssuer(t, "e1")
	v := NewView("node-1", is, time.Now)
	nonce := v.Progress.Nonce()
	theirs := contract.Head{V: 1, Epoch: 1, Oldest: 1, Nonces: map[string]string{"node-2": nonce}}
	if _, err := v.TakeHead(is.head(t, theirs)); err != nil {
		t.Fatal(err)
	}
	if _, known := v.Progress.Age(); known {
		t.Error("a nonce echoed to another node made this one fresh")
	}
	newer := contract.Head{V: 2, Epoch: 1, Oldest: 1, Nonces: map[string]string{"node-1": nonce}}
	if _, err := v.TakeHead(is.head(t, newer)); !errors.Is(err, contract.ErrNewerFormat) {
		t.Errorf("error %v, want a newer format", err)
	}
	ours := contract.Head{V: 1, Epoch: 1, Oldest: 1, Nonces: map[string]string{"node-1": nonce}}
	if outcome, err := v.TakeHead(is.head(t, ours)); err != nil || outcome != HeadCovered {
		t.Errorf("outcome %d, error %v", outcome, err)
	}
}

// A head echoes nonces by process; one from an auth-service that knows of none
// does by node (above).
func TestView_TakeHead_of_two_processes_with_one_id(t *testing.T) {
	is := newIssuer(t, "e1")
	nonces := map[string]string{}
	var twins []*View
	for range 2 {
		v := NewView("node-1", is, time.Now)
		steps := &Steps{View: v, Now: time.Now}
		steps.Renew()
		data, err := steps.Report()
		if err != nil {
			t.Fatal(err)
		}
		var r contract.Report
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		nonces[contract.Reporter(r.Node, r.Process)] = r.Nonce
		twins = append(twins, v)
	}
	head := is.head(t, contract.Head{V: 1, Epoch: 1, Oldest: 1, Nonces: nonces})
	for i, v := range twins {
		if outcome, err := v.TakeHead(head); err != nil || outcome != HeadCovered {
			t.Errorf("process %d: outcome %d, error %v", i, outcome, err)
		}
	}
}

func FuzzView_TakeBatch(f *testing.F) {
	is := newIssuer(f, "e1")
	f.Add(is.batch(sessionBatch(1, 1, 7)), false)
	f.Add(sessionBatch(1, 1, 7).Encode(), true)
	f.Fuzz(func(t *testing.T, message []byte, sealed bool) {
		v := NewView("node-1", is, time.Now)
		if sealed {
			message = Seal(PurposeBatch, is.kid, is.key, message)
		}
		if _, _, err := v.TakeBatch(message); err != nil && v.Set.Len() != 0 {
			t.Error("a refused batch has changed the view")
		}
	})
}
