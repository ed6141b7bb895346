package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded"
	"gatehouse.internal/shared/sqldb"
)

// childDir names the directory in which this test program, run as a child,
// works until it is killed.
const childDir = "GATEHOUSE_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Println("child:", writeForEver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// writeForEver stores numbers in a stream and in a database, and prints each
// one as soon as both have acknowledged it.
func writeForEver(dir string) error {
	ctx := context.Background()
	server, err := embedded.StartNATS(filepath.Join(dir, "nats"), 0)
	if err != nil {
		return err
	}
	b, err := bus.Connect(bus.Config{URL: server.URL()}, discard())
	if err != nil {
		return err
	}
	for b.Ready(ctx) != nil {
		continue
	}
	if err := b.EnsureStream(ctx, bus.Stream{Name: "S", Subjects: []string{"s"}}); err != nil {
		return err
	}
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "test.db"))
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE numbers (n BIGINT PRIMARY KEY)"); err != nil {
		return err
	}
	for n := 1; ; n++ {
		text := strconv.Itoa(n)
		if err := b.Store(ctx, "s", text, []byte(text)); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO numbers (n) VALUES ($1)", n); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestKilledProcess_hasKeptWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := lastNumber(t, out, func() {
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	_ = child.Wait() // it was killed, and says so

	b := connect(t, startNATS(t, filepath.Join(dir, "nats"), 0).URL())
	var stored []string
	if err := b.Replay(t.Context(), "S", func(data []byte) error { stored = append(stored, string(data)); return nil }); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var rows int
	if err := db.Get(&rows, "SELECT count(*) FROM numbers"); err != nil {
		t.Fatal(err)
	}
	if len(stored) < acknowledged || rows < acknowledged {
		t.Errorf("%d were acknowledged; the stream has %d, the database %d", acknowledged, len(stored), rows)
	}
	for i, text := range stored {
		if text != strconv.Itoa(i+1) {
			t.Fatalf("message %d of the stream is %q", i+1, text)
		}
	}
}

// lastNumber reads numbers, calls enough after some, and gives the last one.
func lastNumber(t *testing.T, out io.Reader, enough func()) (last int) {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		if last = n; n == 100 {
			enough()
		}
	}
	if last < 100 {
		t.Fatalf("the child ended after %d", last)
	}
	return last
}
