package proxybench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// The sizes of answers and of request bodies.
const (
	smallSize  = 100
	mediumSize = 10 << 10
	largeSize  = 1 << 20
)

// ServeUpstream answers on a listener until that is closed. It is as cheap as
// it can be, because it runs on the same machine: it reads no more of a request
// than its end, and what it answers is in its path.
func ServeUpstream(l net.Listener) error {
	answers := map[string][]byte{}
	for name, size := range map[string]int{"small": smallSize, "10k": mediumSize, "1m": largeSize} {
		head := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n"
		answers[name] = append([]byte(head), bytes.Repeat([]byte("x"), size)...)
	}
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go answerAll(c, answers) //nolint:gosec // it ends with its connection, and the process with the run
	}
}

// answerAll answers the requests of a connection.
func answerAll(c net.Conn, answers map[string][]byte) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReaderSize(c, 64<<10)
	for {
		name, err := readRequest(in)
		if err != nil {
			return
		}
		answer, known := answers[name]
		if !known {
			answer = answers["small"]
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// readRequest reads a request and gives the last segment of its path.
func readRequest(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return "", errors.New("not a request")
	}
	name := string(fields[1][bytes.LastIndexByte(fields[1], '/')+1:])
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return "", err
		}
		text := strings.TrimSpace(string(line))
		if text == "" {
			break
		}
		if value, is := cutPrefixFold(text, "content-length:"); is {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return "", err
			}
		}
	}
	_, err = io.CopyN(io.Discard, in, int64(length))
	return name, err
}

func cutPrefixFold(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return "", false
	}
	return text[len(prefix):], true
}
