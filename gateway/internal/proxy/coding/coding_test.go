package coding

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct{ accept, offered, want string }{
		{"", "zstd gzip", ""},
		{"gzip", "zstd gzip", "gzip"},
		{"gzip, deflate, br, zstd", "zstd gzip", "zstd"},
		{"gzip, deflate, br, zstd", "gzip zstd", "gzip"},
		{"gzip, deflate, br, zstd", "gzip", "gzip"},
		{"br, deflate", "zstd gzip", ""},
		{"GZIP", "gzip", "gzip"},
		{"x-gzip", "gzip", "gzip"},
		{"gzip;q=0", "gzip", ""},
		{"gzip;q=0.000", "gzip", ""},
		{"gzip;q=0.001", "gzip", "gzip"},
		{"gzip ; q=1.0,zstd;Q=0.5", "zstd gzip", "gzip"},
		{"zstd;q=0.8, gzip;q=0.9", "zstd gzip", "gzip"},
		{"*", "zstd gzip", "zstd"},
		{"*;q=0", "zstd gzip", ""},
		{"gzip;q=0, *", "gzip zstd", "zstd"},
		{"gzip, *;q=0", "zstd gzip", "gzip"},
		{"identity", "gzip", ""},
		{"identity, gzip;q=0.5", "gzip", ""},
		{"identity;q=0.5, gzip", "gzip", "gzip"},
		{"identity, gzip", "gzip", "gzip"},
		{"identity;q=0, gzip;q=0.1", "gzip", "gzip"},
		{"gzip;q=2", "gzip", ""},
		{"gzip;q=1.5", "gzip", ""},
		{"gzip;q=-1", "gzip", ""},
		{"gzip;q=0.1234", "gzip", ""},
		{"gzip;q", "gzip", ""},
		{"gzip;q=", "gzip", ""},
		{"gzip;level=9", "gzip", ""},
		{",, gzip ,", "gzip", "gzip"},
		{"gzipped", "gzip", ""},
	} {
		if got := Choose([]string{c.accept}, strings.Fields(c.offered)); got != c.want {
			t.Errorf("%q of %s: %q, want %q", c.accept, c.offered, got, c.want)
		}
	}
	if got := Choose([]string{"br", "gzip"}, Names()); got != Gzip {
		t.Errorf("a second line: %q", got)
	}
}

// FuzzChoose holds the choice to what every reading of Accept-Encoding has in
// common.
func FuzzChoose(f *testing.F) {
	for _, seed := range []string{"gzip, zstd;q=0.5", "*;q=0.1,identity;q=0", "gzip;q=0,gzip", "", ";;q=,", "x-gzip;q=1.000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := Choose([]string{line}, Names())
		if got != "" && !slices.Contains(Names(), got) {
			t.Fatalf("%q", got)
		}
		if lower := strings.ToLower(line); got != "" && !strings.Contains(lower, got) && !strings.Contains(lower, "*") {
			t.Errorf("%q was not asked for by %q", got, line)
		}
	})
}

func TestFits(t *testing.T) {
	long := "Content-Length: 5000"
	for _, c := range []struct {
		name, asked, answer string // fields, between them "; "
		status              int
		want                bool
	}{
		{"JSON", "", "Content-Type: application/json| " + long, 200, true},
		{"of unknown length", "", "Content-Type: application/json", 200, true},
		{"with parameters", "", "Content-Type: Text/HTML ; charset=utf-8| " + long, 200, true},
		{"JSON of a kind", "", "Content-Type: application/problem+json| " + long, 404, true},
		{"small", "", "Content-Type: text/plain| Content-Length: 1023", 200, false},
		{"just large enough", "", "Content-Type: text/plain| Content-Length: 1024", 200, true},
		{"an image", "", "Content-Type: image/png| " + long, 200, false},
		{"without a type", "", long, 200, false},
		{"events", "", "Content-Type: text/event-stream", 200, false},
		{"events in other letters", "", "Content-Type: Text/Event-Stream;x=y", 200, false},
		{"gRPC", "", "Content-Type: application/grpc", 200, false},
		{"gRPC in JSON", "", "Content-Type: application/grpc+json", 200, false},
		{"encoded", "", "Content-Type: text/plain| Content-Encoding: br", 200, false},
		{"a part", "", "Content-Type: text/plain| Content-Range: bytes 0-4999/9999", 206, false},
		{"not modified", "", "Content-Type: text/plain", 304, false},
		{"without content", "", "Content-Type: text/plain", 204, false},
		{"as it is, says the answer", "", "Content-Type: text/plain| Cache-Control: public, No-Transform", 200, false},
		{"as it is, says the client", "Cache-Control: no-transform", "Content-Type: text/plain", 200, false},
		{"with a digest", "", "Content-Type: text/plain| Content-Digest: sha-256=:x:", 200, false},
		{"signed", "", "Content-Type: text/plain| Signature-Input: a=()", 200, false},
		{"with a length that is none", "", "Content-Type: text/plain| Content-Length: x", 200, false},
	} {
		if got := Fits(fields(c.asked), &http.Response{StatusCode: c.status, Header: fields(c.answer)}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if Fits(nil, &http.Response{StatusCode: 200, Header: fields("Content-Type: text/plain"), Trailer: http.Header{"Content-Digest": nil}}) {
		t.Error("a digest behind the answer")
	}
}

// fields reads header fields with a bar between them.
func fields(text string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "| ") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

func TestAnnounce(t *testing.T) {
	h := fields(`Etag: "v1"| Content-Length: 5000| Accept-Ranges: bytes| Vary: Origin`)
	Vary(h)
	Vary(h)
	Announce(h, Gzip)
	want := fields(`Etag: "v1"| Content-Encoding: gzip| Vary: Origin| Vary: Accept-Encoding`)
	if fmt.Sprint(h) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", h, want)
	}
	for _, vary := range []string{"*", "accept-ENCODING , Origin"} {
		h := http.Header{"Vary": {vary}}
		if Vary(h); len(h["Vary"]) != 1 {
			t.Errorf("%v", h["Vary"])
		}
	}
}

// decoded reads what an encoder has written.
func decoded(name string, from io.Reader) ([]byte, error) {
	if name == Gzip {
		r, err := gzip.NewReader(from)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	r, err := zstd.NewReader(from, zstd.WithDecoderMaxWindow(8<<20)) // as RFC 9659 has it
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// TestEncoders has many answers encoded at once, some of them given up in the
// middle, and each come out as it went in.
func TestEncoders(t *testing.T) {
	e := NewEncoders()
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			for j := range 8 {
				name := Names()[(i+j)%2]
				in := bytes.Repeat(fmt.Appendf(nil, "answer %d of %d; ", i, j), 3000)
				var out bytes.Buffer
				enc, err := e.Lend(name, &out)
				if err != nil || enc == nil {
					t.Errorf("no encoder: %v", err)
					return
				}
				_, _ = enc.Write(in[:len(in)/2])
				if j%3 == 2 { // nobody wants the rest
					enc.End()
					continue
				}
				if err := enc.Flush(); err != nil {
					t.Error(err)
				}
				_, _ = enc.Write(in[len(in)/2:])
				if err := enc.Close(); err != nil {
					t.Error(err)
				}
				enc.End()
				if got, err := decoded(name, &out); err != nil || !bytes.Equal(got, in) {
					t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(in), err)
				}
			}
		})
	}
	group.Wait()
}

func TestEncoders_bound(t *testing.T) {
	e := NewEncoders()
	all := make([]*Encoder, MaxEncoders)
	for i := range all {
		all[i], _ = e.Lend(Gzip, io.Discard)
	}
	if more, err := e.Lend(Zstd, io.Discard); more != nil || err != nil {
		t.Errorf("one more than there may be, %v", err)
	}
	all[0].End()
	if more, err := e.Lend(Zstd, io.Discard); more == nil || err != nil {
		t.Errorf("none after one was given back, %v", err)
	}
}

// BenchmarkEncoders encodes a JSON document of 64 KiB.
func BenchmarkEncoders(b *testing.B) {
	var in bytes.Buffer
	for i := 0; in.Len() < 64<<10; i++ {
		fmt.Fprintf(&in, `{"id":%d,"name":"item %x","tags":["a%d","b"],"price":%d.%02d},`, i, i*2654435761, i%7, i%100, i%89)
	}
	e := NewEncoders()
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(in.Len()))
			b.ReportAllocs()
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				enc, _ := e.Lend(name, &out)
				_, _ = enc.Write(in.Bytes())
				_ = enc.Close()
				enc.End()
			}
			b.ReportMetric(float64(in.Len())/float64(out.Len()), "ratio")
		})
	}
}
