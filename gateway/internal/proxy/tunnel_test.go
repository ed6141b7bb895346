package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/proxy/websocket"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func TestTunnel_I13_a_revoked_session_is_closed_with_4401_on_both_sides(t *testing.T) {
	s := newSocket(t, nil)
	s.send(s.upstream, frameOf(0x81, false, []byte("hello")))
	s.want(s.in, 0x81, "hello")
	began := time.Now()
	s.revoke()
	f, err := readFrame(s.in)
	if err != nil || f.status() != 4401 || f.masked || string(f.payload[2:]) != "token_revoked" {
		t.Fatalf("got %+v %v", f, err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	s.wantClose(s.upstreamIn, 1008, true)
	s.send(s.client, frameOf(0x81, true, []byte("one more thing")))
	s.send(s.client, frameOf(0x88, true, f.payload))
	s.send(s.upstream, frameOf(0x88, false, []byte{0x03, 0xf0}))
	s.wantEnd(s.in)
	s.wantEnd(s.upstreamIn) // nothing of a client whose session is over
	if took := time.Since(began); took > answerWait {
		t.Errorf("both have answered, and it took %v", took)
	}
	s.wantForgotten()
}

func TestTunnel_the_client_hears_the_cause_before_the_upstreams_answer(t *testing.T) {
	for range 10 {
		s := newSocket(t, nil)
		answered := make(chan struct{})
		go func() { // ends with the close frame
			defer close(answered)
			f, err := readFrame(s.upstreamIn)
			if err == nil {
				_, _ = s.upstream.Write(frameOf(0x88, false, f.payload))
			}
		}()
		s.revoke()
		s.wantClose(s.in, 4401, false)
		<-answered
		s.send(s.client, frameOf(0x88, true, nil))
		s.wantEnd(s.in)
	}
}

func TestTunnel_causes_have_statuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit             func(*Call)
		end              func(*socket)
		client, upstream websocket.Status
	}{
		"roles that changed": {end: func(s *socket) {
			s.front.live.Applied([]contract.Entry{{Kind: contract.RevokeUserStale, MinVersion: 1}})
		}, client: 4401, upstream: 1008},
		"knowledge that is too old": {end: func(s *socket) { s.front.verdict.say(fault.New(fault.RevocationStateUnknown, "")) }, client: 1013, upstream: 1001},
		"an expired token": {
			edit: func(c *Call) { c.EndAtExpiry = true; c.Claims.ExpiresAt = time.Now().Add(200 * time.Millisecond) },
			end:  func(*socket) {}, client: 4401, upstream: 1008,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSocket(t, c.edit)
			c.end(s)
			s.wantClose(s.in, c.client, false)
			s.wantClose(s.upstreamIn, c.upstream, true)
		})
	}
}

func TestTunnel_a_stopping_gateway_says_good_bye_before_it_goes(t *testing.T) {
	s := newSocket(t, nil)
	stopped := make(chan struct{})
	f := s.front
	stop := running(t, f.live) // a second owner of the same registry ends it
	go func() { defer close(stopped); stop() }()
	s.wantClose(s.in, 1001, false)
	s.send(s.client, frameOf(0x88, true, nil))
	s.wantClose(s.upstreamIn, 1001, true)
	_ = s.upstream.Close()
	<-stopped
	if f.live.Len() != 0 {
		t.Error("it did not wait")
	}
}

func TestTunnel_the_close_frame_follows_the_frame_that_is_under_way(t *testing.T) {
	s := newSocket(t, nil)
	whole := frameOf(0xc2, false, bytes.Repeat([]byte{0x88}, 300)) // compressed, and looks like close frames
	s.send(s.upstream, whole[:100])
	got := make([]byte, len(whole))
	if _, err := io.ReadFull(s.in, got[:100]); err != nil {
		t.Fatal(err)
	}
	s.revoke()
	s.wantClose(s.upstreamIn, 1008, true) // it was between two frames, so it knows already
	s.send(s.upstream, append(whole[100:], frameOf(0x81, false, []byte("secret"))...))
	if _, err := io.ReadFull(s.in, got[100:]); err != nil || !bytes.Equal(got, whole) {
		t.Fatalf("the frame is not whole: %v", err)
	}
	s.wantClose(s.in, 4401, false)
	s.send(s.client, frameOf(0x88, true, nil))
	s.wantEnd(s.in) // and not the secret
}

func TestTunnel_an_upstream_that_stalls_within_a_frame_is_cut(t *testing.T) {
	for _, part := range []int{1, 3, 50} { // within the first bytes, the length, the payload
		s := newSocket(t, nil)
		s.send(s.upstream, frameOf(0x82, false, make([]byte, 1000))[:part])
		if _, err := io.ReadFull(s.in, make([]byte, part)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.revoke()
		s.wantEnd(s.in)
		if took := time.Since(began); took > frameWait+time.Second {
			t.Errorf("it took %v", took)
		}
		s.wantForgotten()
	}
}

func TestTunnel_a_message_in_fragments_may_be_broken_off(t *testing.T) {
	s := newSocket(t, nil)
	s.send(s.upstream, frameOf(0x01, false, []byte("first, ")))
	s.send(s.upstream, frameOf(0x89, false, []byte("ping")))
	s.send(s.upstream, frameOf(0x00, false, []byte("second, ")))
	s.want(s.in, 0x01, "first, ")
	s.want(s.in, 0x89, "ping")
	s.want(s.in, 0x00, "second, ")
	s.revoke()
	s.wantClose(s.in, 4401, false)
}

func TestTunnel_a_client_may_finish_its_frame(t *testing.T) {
	s := newSocket(t, nil)
	whole := frameOf(0x82, true, []byte("a frame in two parts"))
	s.send(s.client, whole[:9])
	if _, err := s.upstreamIn.Peek(9); err != nil {
		t.Fatal(err)
	}
	s.revoke()
	s.wantClose(s.in, 4401, false)
	s.send(s.client, append(whole[9:], frameOf(0x81, true, []byte("too late"))...))
	s.want(s.upstreamIn, 0x82, "a frame in two parts")
	s.wantClose(s.upstreamIn, 1008, true)
	s.send(s.client, frameOf(0x88, true, nil))
	s.wantEnd(s.upstreamIn)
}

func TestTunnel_a_flood_of_frames_ends_with_a_close_frame(t *testing.T) {
	s := newSocket(t, nil)
	sent := make(chan struct{})
	go func() { // ends with the connection
		defer close(sent)
		for n := uint64(0); ; n++ {
			payload := make([]byte, 8+rand.N(100_000))
			binary.BigEndian.PutUint64(payload, n)
			if _, err := s.upstream.Write(frameOf(0xc2, false, payload)); err != nil {
				return
			}
		}
	}()
	for n := uint64(0); ; n++ {
		f, err := readFrame(s.in)
		if err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
		if f.status() == 4401 {
			if n < 100 {
				t.Errorf("closed after %d frames", n)
			}
			break
		}
		if f.first != 0xc2 || binary.BigEndian.Uint64(f.payload) != n {
			t.Fatalf("frame %d is %x %x", n, f.first, f.payload[:8])
		}
		if n == 100 {
			s.revoke()
		}
	}
	s.send(s.client, frameOf(0x88, true, nil))
	s.wantEnd(s.in)
	<-sent
	s.wantForgotten()
}

func TestTunnel_nobody_has_to_cooperate(t *testing.T) {
	t.Run("neither end answers", func(t *testing.T) {
		s := newSocket(t, nil)
		began := time.Now()
		s.revoke()
		s.wantClose(s.in, 4401, false)
		s.wantEnd(s.in)
		if took := time.Since(began); took < answerWait || took > answerWait+time.Second {
			t.Errorf("it took %v", took)
		}
		s.wantForgotten()
	})
	t.Run("the client reads nothing", func(t *testing.T) {
		s := newSocket(t, nil)
		stuck := false
		for frame := frameOf(0x82, false, make([]byte, 1<<20)); !stuck; {
			_ = s.upstream.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, err := s.upstream.Write(frame)
			stuck = err != nil
		}
		s.revoke()
		s.wantForgotten()
	})
	t.Run("the upstream reads nothing", func(t *testing.T) {
		s := newSocket(t, nil)
		stuck := false
		for frame := frameOf(0x82, true, make([]byte, 1<<20)); !stuck; {
			_ = s.client.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, err := s.client.Write(frame)
			stuck = err != nil
		}
		s.revoke()
		s.wantClose(s.in, 4401, false)
		s.wantForgotten()
	})
	t.Run("the upstream has closed already", func(t *testing.T) {
		s := newSocket(t, nil)
		s.send(s.upstream, frameOf(0x88, false, []byte{0x03, 0xe8}))
		s.wantClose(s.in, 1000, false)
		s.revoke()
		s.wantEnd(s.in) // and no second close frame
	})
	t.Run("what comes are no frames", func(t *testing.T) {
		s := newSocket(t, nil)
		junk := []byte{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3}
		s.send(s.upstream, junk)
		if _, err := io.ReadFull(s.in, make([]byte, len(junk))); err != nil {
			t.Fatal(err)
		}
		s.revoke()
		s.wantEnd(s.in)
	})
}

func TestTunnel_carries_both_ways_byte_for_byte_until_an_end_goes(t *testing.T) {
	s := newSocket(t, nil)
	var all []byte
	for range 50 {
		all = append(all, frameOf(byte(rand.N(256)), rand.N(2) == 0, make([]byte, rand.N(70_000)))...)
	}
	for _, way := range []struct {
		to   net.Conn
		from io.Reader
	}{{s.client, s.upstreamIn}, {s.upstream, s.in}} {
		go func() { _, _ = way.to.Write(all) }() // ends before what is read below does
		got := make([]byte, len(all))
		if _, err := io.ReadFull(way.from, got); err != nil || !bytes.Equal(got, all) {
			t.Fatalf("what came is not what was sent: %v", err)
		}
	}
	_ = s.client.Close()
	s.wantEnd(s.upstreamIn)
	_ = s.upstream.Close()
	s.wantForgotten()
}
