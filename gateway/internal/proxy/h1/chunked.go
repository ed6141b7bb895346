package h1

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"gatehouse.internal/shared/httpx/framing"
)

var (
	errChunk    = errors.New("the answer's chunked body is malformed")
	errTrailers = errors.New("the answer has malformed or too many trailer fields")
)

// The bounds of what comes between the data of a chunked body.
const (
	maxChunkLine = 256 // of one size with its extensions, which are dropped
	maxTrailers  = 16 << 10
	// maxChunkWaste is how much more than its data the lines of a body may be:
	// one byte in chunks of their own would be 5 bytes of lines each.
	maxChunkWaste = 16 << 10
)

// chunks follows the chunks of a body (RFC 9112 section 7.1). It is strict:
// sizes are hexadecimal digits, at most 15, and all lines end in CRLF.
type chunks struct {
	left  int64 // data of the chunk that has not come yet
	begun bool  // the chunk's own end of line is still to come
	waste int64 // bytes of lines less the data they carried
}

// next goes on to data, if the present chunk has none left: it reads the end
// of the chunk and the next size. It returns io.EOF after the last one.
func (c *chunks) next(in *reader) error {
	if c.left > 0 {
		return nil
	}
	if c.begun {
		if err := in.expectCRLF(); err != nil {
			return err
		}
		c.begun = false
	}
	line, err := in.line(maxChunkLine, errChunk)
	if err != nil {
		return err
	}
	if c.left, err = chunkSize(line); err != nil {
		return err
	}
	c.waste = max(0, c.waste+int64(len(line))+4-16-c.left)
	if c.waste > maxChunkWaste {
		return errChunk
	}
	if c.left == 0 {
		return io.EOF
	}
	c.begun = true
	return nil
}

// chunkSize reads a line with a size and perhaps extensions.
func chunkSize(line []byte) (int64, error) {
	var n int64
	i := 0
	for ; i < len(line); i++ {
		digit := hexDigit(line[i])
		if digit < 0 {
			break
		}
		n = n<<4 | int64(digit)
	}
	if i == 0 || i > 15 || !framing.FieldValue(string(line[i:])) {
		return 0, errChunk
	}
	// RFC 9112 section 7.1.1 knows "bad" white space behind the size. Before the
	// end of the line some servers have it; before an extension not every reader
	// takes it, so it is refused.
	if rest := line[i:]; len(rest) > 0 && rest[0] != ';' && len(bytes.Trim(rest, " \t")) > 0 {
		return 0, errChunk
	}
	return n, nil
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// trailers reads the fields after the last chunk. Those by which messages are
// framed are dropped (RFC 9110 section 6.5.1).
func trailers(in *reader) (http.Header, error) {
	var all http.Header
	for size := 0; ; {
		line, err := in.line(maxTrailers-size, errTrailers)
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			return all, nil
		}
		size += len(line) + 2
		name, value, ok := cutField(string(line))
		if !ok {
			return nil, errTrailers
		}
		switch name = framing.Canonical(name); name {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Host", "Connection":
			continue
		}
		if all == nil {
			all = http.Header{}
		}
		all[name] = append(all[name], value)
	}
}
