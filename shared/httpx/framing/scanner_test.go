package framing_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx/framing"
)

const post = "POST / HTTP/1.1\r\nHost: x\r\n"

var passingRequests = []struct{ name, request string }{
	{"a request without a body", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n"},
	{"a body with a length", post + "Content-Length: 5\r\n\r\nhello"},
	{"an empty body with a length", post + "Content-Length: 0\r\n\r\n"},
	{"a length with leading zeros and spaces around it", post + "Content-Length:  \t005 \r\n\r\nhello"},
	{"a chunked body", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{"chunked in capitals", post + "transfer-encoding: CHUNKED\r\n\r\n0A\r\n0123456789\r\n00\r\n\r\n"},
	{"chunks with extensions", post + "Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"},
	{"trailers", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n"},
	{"a body that looks like a request", post + "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
	{"a chunk that looks like a request", post + "Transfer-Encoding: chunked\r\n\r\n12\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n"},
	{"octets beyond ASCII and tabs in a value", "GET / HTTP/1.1\r\nHost: x\r\nX: a\tb\xff\xc3\xbc-0123456789abcdef\r\n\r\n"},
	{"an empty value", "GET / HTTP/1.1\r\nHost: x\r\nX:\r\nY: \r\n\r\n"},
	{"every octet of a token", "M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: x\r\n!#$%&'*+-.^_`|~9: x\r\n\r\n"},
	{"an upgrade that was not asked of anyone", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"},
}

func TestScanner_passes_what_every_server_reads_alike(t *testing.T) {
	for _, c := range passingRequests {
		for _, piece := range []int{1, 2, 3, 7, 1000} {
			input := strings.Repeat(c.request, 3)
			passed, ends, refusal := scan([]byte(input), piece, 0)
			if refusal != nil || string(passed) != input {
				t.Errorf("%s, in pieces of %d: passes %q", c.name, piece, passed)
			}
			if piece == 1 && len(ends) != 3 {
				t.Errorf("%s: requests end at %v, want 3 of %d bytes", c.name, ends, len(c.request))
			}
		}
	}
}

var refusedRequests = []struct {
	name, request string
	kind          fault.Kind
}{
	{"S-P1 both framings", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P1 both framings, the other way round", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", fault.Malformed},
	{"S-P2 the same length twice", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", fault.Malformed},
	{"S-P2 a list of lengths", post + "Content-Length: 5, 5\r\n\r\nhello", fault.Malformed},
	{"S-P2 a length with a sign", post + "Content-Length: +5\r\n\r\nhello", fault.Malformed},
	{"S-P2 a negative length", post + "Content-Length: -1\r\n\r\n", fault.Malformed},
	{"S-P2 a hexadecimal length", post + "Content-Length: 0x5\r\n\r\nhello", fault.Malformed},
	{"S-P2 a length with an underscore", post + "Content-Length: 1_0\r\n\r\nhello", fault.Malformed},
	{"S-P2 an empty length", post + "Content-Length:\r\n\r\n", fault.Malformed},
	{"S-P2 a length beyond all numbers", post + "Content-Length: 9999999999999999999\r\n\r\n", fault.Malformed},
	{"S-P2 a length within a value", post + "X: y\rContent-Length: 5\r\n\r\nhello", fault.Malformed},
	{"S-P2 identity is not chunked", post + "Transfer-Encoding: identity\r\n\r\n", fault.Malformed},
	{"S-P2 chunked is not the last", post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 another coding under chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", fault.UnsupportedTransferCoding},
	{"S-P2 chunked twice in a list", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", fault.UnsupportedTransferCoding},
	{"S-P2 chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 an empty coding", post + "Transfer-Encoding:\r\n\r\n", fault.Malformed},
	{"S-P2 an empty coding at the end", post + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 a parameter of a coding", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 a hidden coding", post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 a quoted coding", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 a coding behind a non-breaking space", post + "Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 a coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", fault.Malformed},
	{"S-P2 a length in another spelling", post + "Content_Length: 5\r\n\r\nhello", fault.Malformed},
	{"S-P2 a coding in another spelling", post + "TRANSFER_ENCODING: chunked\r\n\r\nhello", fault.Malformed},
	{"S-P3 a chunk size with a sign", post + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk size with a prefix", post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk size with an underscore", post + "Transfer-Encoding: chunked\r\n\r\n1_0\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk size that overflows", post + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk without a size", post + "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 an empty line in the place of the last chunk", post + "Transfer-Encoding: chunked\r\n\r\n\r\n\r\n", fault.Malformed},
	{"S-P3 an extension in the place of the last chunk", post + "Transfer-Encoding: chunked\r\n\r\n;a\r\n\r\n", fault.Malformed},
	{"S-P3 an extension without a size", post + "Transfer-Encoding: chunked\r\n\r\n;a\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a space behind a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a space before a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 an extension with a bare CR", post + "Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 an endless extension", post + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk line that ends in LF", post + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk that ends in LF", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a chunk that is too long", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello, world\r\n0\r\n\r\n", fault.Malformed},
	{"S-P3 a folded trailer", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", fault.Malformed},
	{"S-P3 endless trailers", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", 500) + "\r\n", fault.Malformed},
	{"S-P4 a space before the colon", post + "Content-Length : 5\r\n\r\nhello", fault.Malformed},
	{"S-P4 a tab before the colon", post + "Content-Length\t: 5\r\n\r\nhello", fault.Malformed},
	{"S-P4 a field without a name", post + ": 5\r\n\r\nhello", fault.Malformed},
	{"S-P4 a field without a colon", post + "Content-Length\r\n\r\nhello", fault.Malformed},
	{"S-P4 a name beyond ASCII", post + "Content\xadLength: 5\r\n\r\nhello", fault.Malformed},
	{"S-P4 a folded field", post + "X: y\r\n Content-Length: 5\r\n\r\nhello", fault.Malformed},
	{"S-P4 a field folded with a tab", post + "X: y\r\n\tz\r\n\r\n", fault.Malformed},
	{"S-P4 a fold behind the request line", "POST / HTTP/1.1\r\n Host: x\r\n\r\n", fault.Malformed},
	{"S-P4 a NUL in a value", post + "X: 0123456789\x00abcdef\r\n\r\n", fault.Malformed},
	{"S-P4 a bare CR in a value", post + "X: y\rz\r\n\r\n", fault.Malformed},
	{"S-P4 a CR before the CRLF", post + "X: y\r\r\n\r\n", fault.Malformed},
	{"S-P4 a DEL in a value", post + "X: 01234567\x7f89abcdef\r\n\r\n", fault.Malformed},
	{"S-P4 a field that ends in LF", post + "X: y\nZ: z\r\n\r\n", fault.Malformed},
	{"S-P4 a head that ends in LF", post + "X: y\r\n\n", fault.Malformed},
	{"S-P4 a request line that ends in LF", "POST / HTTP/1.1\nHost: x\r\n\r\n", fault.Malformed},
	{"S-P4 no host", "POST / HTTP/1.1\r\n\r\n", fault.Malformed},
	{"S-P4 two hosts", post + "Host: y\r\n\r\n", fault.Malformed},
	{"S-P8 a target of another host", "GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"S-P8 a target of another port", "GET http://x:81/ HTTP/1.1\r\nA: b\r\nHost: x:82\r\n\r\n", fault.Malformed},
	{"S-P8 a target of a user", "GET http://x@y/ HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"S-P8 a target of a host, and a Host that is empty", "GET http://y?x HTTP/1.1\r\nHost:\r\n\r\n", fault.Malformed},
	{"S-P8 a target of another host, behind a good request", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET http://y#/ HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"S-P4 two hosts in HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nhost: x\r\n\r\n", fault.Malformed},
	{"no method", " / HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"no target", "GET  HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"a space too many", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"a space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"a tab for a space", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"a space at the end", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", fault.Malformed},
	{"a NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"a bare CR in the target", "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"a method that is no token", "G{T / HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"an overlong method", strings.Repeat("A", 33) + " / HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"HTTP/0.9", "GET /\r\n\r\n", fault.Malformed},
	{"http in small letters", "GET / http/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"another protocol", "GET / HTCPCP/1.0\r\nHost: x\r\n\r\n", fault.Malformed},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", fault.UnsupportedVersion},
	{"HTTP/2 where it cannot be", framing.Preface, fault.UnsupportedVersion},
	{"HTTP/1.10", "GET / HTTP/1.10\r\nHost: x\r\n\r\n", fault.Malformed},
	{"an empty line first", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", fault.Malformed},
	{"S-P16 an endless target", "GET /" + strings.Repeat("a", 40<<10), fault.URITooLong},
	{"S-P16 an endless field", post + "X: " + strings.Repeat("a", 40<<10), fault.HeadersTooLarge},
	{"S-P16 endless fields", post + strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 40), fault.HeadersTooLarge},
	{"S-P16 many fields", post + strings.Repeat("X: y\r\n", 257) + "\r\n", fault.HeadersTooLarge},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", fault.Malformed},
}

func TestScanner_refuses_what_two_servers_could_read_differently(t *testing.T) {
	const before = "GET /before HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, c := range refusedRequests {
		for _, piece := range []int{1, 2, 5, 100_000} {
			t.Run(fmt.Sprintf("%s, in pieces of %d", c.name, piece), func(t *testing.T) {
				passed, _, refusal := scan([]byte(before+c.request), piece, 0)
				if refusal == nil {
					t.Fatal("it passes")
				}
				if refusal.Kind != c.kind {
					t.Errorf("refused as %v, want %s", refusal, c.kind)
				}
				if !strings.HasPrefix(string(passed), before) {
					t.Errorf("the request before it does not pass: %q", passed)
				}
			})
		}
	}
}

func TestScanner_other_protocols_pass(t *testing.T) {
	const frames = "\x00\x00\x00\x04\x00\n\n\r\x00"
	for _, piece := range []int{1, 10, 14, 1000} {
		s := framing.New(0, true)
		input := []byte(framing.Preface + frames)
		for len(input) > 0 {
			n, refusal := s.Scan(input[:min(piece, len(input))])
			if refusal != nil {
				t.Fatalf("HTTP/2 in pieces of %d is refused: %v", piece, refusal)
			}
			input = input[n:]
		}
		for _, request := range []string{"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
			s = framing.New(0, true)
			for i := 0; i < len(request); i += piece {
				if _, refusal := s.Scan([]byte(request[i:min(i+piece, len(request))])); refusal != nil {
					t.Errorf("%q in pieces of %d is refused: %v", request, piece, refusal)
				}
			}
		}
		s = framing.New(0, true)
		var refusal *fault.Error
		for _, c := range []byte("PRI * HTTP/2.0\r\n\r\nSX") {
			_, refusal = s.Scan([]byte{c})
		}
		if refusal == nil {
			t.Error("a false preface passes")
		}
	}
	s := framing.New(0, false)
	_, _ = s.Scan([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	s.Passes()
	if n, refusal := s.Scan([]byte(frames)); n != len(frames) || refusal != nil {
		t.Errorf("after the connection was taken over: %d, %v", n, refusal)
	}
	_, _ = s.Scan([]byte("x"))
	s = framing.New(0, false)
	_, _ = s.Scan([]byte("\n"))
	s.Passes()
	if n, refusal := s.Scan([]byte(frames)); n != 0 || refusal == nil {
		t.Errorf("what was refused passes after all: %d, %v", n, refusal)
	}
}

func TestScanner_allocates_nothing_for_requests_that_come_whole(t *testing.T) {
	request := []byte(ordinary)
	s := framing.New(0, false)
	if n := testing.AllocsPerRun(100, func() {
		if passed, refusal := s.Scan(request); passed != len(request) || refusal != nil {
			t.Fatal(passed, refusal)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// ordinary is what a browser's request to an API looks like.
const ordinary = "GET /api/orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json, text/plain, */*\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nAuthorization: Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjEyMzQ1Njc4IiwidHlwIjoiYXQrand0In0." +
	"eyJpc3MiOiJodHRwczovL2dhdGVob3VzZS50ZXN0IiwiYXVkIjoiZ2F0ZWhvdXNlLWFwaSIsInN1YiI6IjAxOTNhYmNkIiwiZXhwIjoxNzAwMDAwMDAwfQ." +
	"c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2ln\r\n" +
	"Referer: https://app.example.com/orders\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0\r\n\r\n"

// BenchmarkScanner shows what one request costs.
func BenchmarkScanner(b *testing.B) {
	for name, request := range map[string]string{
		"browser": ordinary, "small": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunked 64KiB": post + "Transfer-Encoding: chunked\r\n\r\n10000\r\n" + strings.Repeat("a", 64<<10) + "\r\n0\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			input := []byte(request)
			s := framing.New(0, false)
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := s.Scan(input); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}
