package contract_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
)

const someID = "019a6f3e-7c1d-7b42-9f00-0123456789ab"

// someBatch has an entry of every kind.
func someBatch() contract.Batch {
	id := contract.ParseSubjectID(someID)
	expires := time.Unix(1_767_225_600, 0).UTC()
	return contract.Batch{
		Epoch: 3, First: 1000, Oldest: 17, Committed: time.UnixMicro(1_767_225_000_123_456).UTC(),
		Entries: []contract.Entry{
			{Kind: contract.RevokeToken, Subject: id, ExpiresAt: expires},
			{Kind: contract.RevokeSession, Subject: id, ExpiresAt: expires},
			{Kind: contract.RevokeUser, Subject: id, MinVersion: 7, ExpiresAt: expires},
			{Kind: contract.RevokeUserStale, Subject: id, MinVersion: math.MaxUint64, ExpiresAt: expires},
			{Kind: contract.RevokeKey, KeyID: "key-1", ExpiresAt: expires},
		},
	}
}

func TestBatch_comes_back_as_it_was(t *testing.T) {
	full := contract.Batch{First: 1, Committed: time.UnixMicro(0).UTC(), Entries: make([]contract.Entry, contract.MaxBatchEntries)}
	for i := range full.Entries {
		full.Entries[i] = contract.Entry{Kind: contract.RevokeToken, ExpiresAt: time.Unix(0, 0).UTC()}
	}
	for name, want := range map[string]contract.Batch{
		"every kind":        someBatch(),
		"an empty batch":    {Epoch: 1, First: 5, Oldest: 5, Committed: time.UnixMicro(0).UTC(), Entries: []contract.Entry{}},
		"the largest batch": full,
	} {
		got, err := contract.DecodeBatch(want.Encode())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if size := len(full.Encode()); size > 512<<10 {
		t.Errorf("the largest batch has %d bytes; it must stay far below the NATS limit of 1 MiB", size)
	}
}

func TestBatch_times_before_1970_become_1970(t *testing.T) {
	b := contract.Batch{First: 1, Entries: []contract.Entry{{Kind: contract.RevokeToken}}}
	got, err := contract.DecodeBatch(b.Encode())
	if err != nil || got.Committed.Unix() != 0 || got.Entries[0].ExpiresAt.Unix() != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBatch_the_format_of_version_1_never_changes(t *testing.T) {
	const golden = "testdata/batch_v1.hex"
	b := someBatch()
	if *update {
		if err := os.WriteFile(golden, []byte(hex.EncodeToString(b.Encode())+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Encode(); !bytes.Equal(got, data) {
		t.Errorf("encoded as\n%x, want\n%x", got, data)
	}
	if got, err := contract.DecodeBatch(data); err != nil || !cmp.Equal(got, b) {
		t.Errorf("read as %+v, %v", got, err)
	}
}

func TestBatch_Last(t *testing.T) {
	b := someBatch()
	if got := b.Last(); got != 1004 {
		t.Errorf("got %d, want 1004", got)
	}
	b.Entries = nil
	if got := b.Last(); got != 999 {
		t.Errorf("an empty batch ends at %d, want 999", got)
	}
}

func TestDecodeBatch_refuses(t *testing.T) {
	b := someBatch()
	good := b.Encode()
	head := []byte{contract.BatchVersion, 1, 1, 1, 0} // epoch, first, oldest, committed; the count follows
	with := func(rest ...byte) []byte { return append(bytes.Clone(head), rest...) }
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01} // the largest number
	for _, c := range []struct {
		name  string
		data  []byte
		newer bool
	}{
		{"nothing", nil, false},
		{"F17 a newer version", []byte{contract.BatchVersion + 1}, true},
		{"version 0", []byte{0}, true},
		{"F17 an unknown kind of entry", with(1, 99, 0, 0), true},
		{"a byte too many", append(bytes.Clone(good), 0), false},
		{"number 0 as the first", []byte{contract.BatchVersion, 1, 0, 1, 0, 0}, false},
		{"more entries than a batch may have", with(0x81, 0x40), false},
		{"numbers past the last possible one", append(append([]byte{contract.BatchVersion, 1}, huge...), 1, 0, 1, 5, 0, 0), false},
		{"a count of entries that cannot be there", with(0x80, 0x40), false},
		{"a number longer than it need be", with(0x80, 0x00), false},
		{"a number too large for 64 bits", with(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02), false},
		{"a time past all time", append(append([]byte{contract.BatchVersion, 1, 1, 1}, huge...), 0), false},
		{"an expiry past all time", append(with(1, 5, 0), huge...), false},
		{"a key id past all bounds", append(with(1, 5), 0x81, 0x80, 0x04, 'a'), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := contract.DecodeBatch(c.data)
			if err == nil || errors.Is(err, contract.ErrNewerFormat) != c.newer {
				t.Errorf("got %v", err)
			}
			if !cmp.Equal(got, contract.Batch{}) {
				t.Errorf("there is half a batch: %+v", got)
			}
		})
	}
	t.Run("every truncation", func(t *testing.T) {
		for n := range good {
			if _, err := contract.DecodeBatch(good[:n]); err == nil || errors.Is(err, contract.ErrNewerFormat) {
				t.Errorf("%d bytes of %d: %v", n, len(good), err)
			}
		}
	})
}

// FuzzDecodeBatch holds that nothing makes DecodeBatch panic, and that it
// accepts a batch in one spelling only: the one that Encode writes.
func FuzzDecodeBatch(f *testing.F) {
	b := someBatch()
	f.Add(b.Encode())
	f.Add([]byte{contract.BatchVersion, 1, 1, 1, 0, 1, 5, 0, 0})
	f.Add([]byte{contract.BatchVersion + 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := contract.DecodeBatch(data)
		if err != nil {
			if len(got.Entries) > 0 {
				t.Fatalf("there are entries beside the error %v", err)
			}
			return
		}
		if again := got.Encode(); !bytes.Equal(again, data) {
			t.Fatalf("%x was read, and would be written as %x", data, again)
		}
	})
}
