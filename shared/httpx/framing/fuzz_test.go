package framing_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx/framing"
)

// scan sends input through a Scanner in pieces of the given size. It gives what
// passed, and the places behind each request that is whole, as far as a piece
// ends there.
func scan(input []byte, piece, maxHead int) (passed []byte, ends []int, refusal *fault.Error) {
	s := framing.New(maxHead, false)
	for len(input) > 0 {
		p := input[:min(piece, len(input))]
		var n int
		n, refusal = s.Scan(p)
		passed = append(passed, p[:n]...)
		if refusal != nil {
			return passed, ends, refusal
		}
		input = input[n:]
		if framing.AtStart(&s) && (len(ends) == 0 || ends[len(ends)-1] != len(passed)) {
			ends = append(ends, len(passed))
		}
	}
	return passed, ends, nil
}

// requestsOf reads requests as net/http's server does, and gives the places
// behind each. err is what it has against the one after them.
func requestsOf(text []byte) (ends []int, err error) {
	src := bytes.NewReader(text)
	in := bufio.NewReader(src)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return ends, err
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return ends, err
		}
		ends = append(ends, len(text)-src.Len()-in.Buffered())
	}
}

// FuzzScanner holds the Scanner to its promise: what it passes, net/http reads
// as requests with the same ends; however the bytes come, it says the same; and
// where it refuses, net/http sees no further request.
func FuzzScanner(f *testing.F) {
	const maxHead = 512
	for _, c := range refusedRequests {
		if len(c.request) < 2*maxHead { // the engine takes minutes to make a larger one smaller
			f.Add([]byte(c.request), uint8(7))
		}
	}
	for _, c := range passingRequests {
		f.Add([]byte(c.request+c.request), uint8(3))
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8) {
		if len(input) > 8*maxHead {
			return
		}
		passed, ends, refusal := scan(input, 1, maxHead)
		other, _, otherRefusal := scan(input, int(piece)+1, maxHead)
		if otherRefusal != refusal || refusal == nil && !bytes.Equal(other, passed) {
			t.Fatalf("in pieces of 1: passes %q, %v; in pieces of %d: %q, %v", passed, refusal, piece+1, other, otherRefusal)
		}
		theirs, err := requestsOf(passed)
		if !isPrefix(theirs, ends) {
			t.Fatalf("net/http finds requests that end at %v, we at %v in %q (%v)", theirs, ends, passed, err)
		}
		if len(theirs) < len(ends) && !stricter(err) {
			t.Fatalf("net/http finds %d requests, we %d in %q: %v", len(theirs), len(ends), passed, err)
		}
		if refusal == nil {
			return
		}
		refused := append(slices.Clip(passed), framing.Poison...)
		if again, err := requestsOf(refused); len(again) > len(ends) || err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("what is refused becomes %d requests instead of %d, %v: %q", len(again), len(ends), err, refused)
		}
	})
}

func isPrefix(a, b []int) bool { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }

// stricter reports whether net/http refuses a request by rules about targets,
// hosts or bodies that are none of ours: it may refuse more, never read
// something else.
func stricter(err error) bool {
	return err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "unexpected EOF")
}
