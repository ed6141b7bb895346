package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tour of the README is typed here, command by command: its first block
// into one terminal, the others into a second one. What "# →" shows must be in
// the output of the command above it.

const (
	tourFolder   = "/tmp/gatehouse-tour" // replaced by a folder of the test
	tourProgram  = "go run ./deploy/standalone"
	tourBound    = time.Minute // for one command
	tourPatience = 10 * time.Second
)

// tourCommand is what one presses Enter after, and what must be printed then.
type tourCommand struct {
	text string
	want []string
}

// isRead reports whether a command only looks, and so may be repeated: the test
// types faster than letters and route files travel.
func (c tourCommand) isRead() bool {
	return strings.HasPrefix(c.text, "curl ") && !strings.Contains(c.text, " -d ") && !strings.Contains(c.text, " -X ")
}

func (c tourCommand) missing(output string) string {
	for _, want := range c.want {
		if !strings.Contains(output, want) {
			return want
		}
	}
	return ""
}

func TestTour_the_README_tells_the_truth(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
				t.Fatalf("%s is not installed", tool)
			}
			t.Skipf("%s is not installed", tool)
		}
	}
	blocks := tourBlocks(t)
	first := startTour(t, blocks[0])
	second := openTerminal(t)
	for _, block := range blocks[1:] {
		for _, command := range block {
			if !second.check(t, first.adapt(command)) {
				t.FailNow() // what follows builds on it
			}
		}
	}
	if err := first.stop(); err != nil {
		t.Errorf("the system did not stop cleanly: %v", err)
	}
}

// readme is the text of the README.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section gives what is under a heading of the README, up to the next one of
// the same level.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut("\n"+readme(t), "\n"+heading+"\n")
	if !found {
		t.Fatalf("the README has no %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	rest, _, _ = strings.Cut(rest, "\n"+level+" ")
	return rest
}

var tourBlock = regexp.MustCompile("(?s)\n```sh\n(.*?)\n```")

// tourBlocks are the commands of the tour, by code block.
func tourBlocks(t *testing.T) [][]tourCommand {
	t.Helper()
	var blocks [][]tourCommand
	for _, match := range tourBlock.FindAllStringSubmatch(section(t, "## A tour"), -1) {
		blocks = append(blocks, tourCommands(match[1]))
	}
	if len(blocks) < 5 {
		t.Fatalf("the tour has %d blocks of commands", len(blocks))
	}
	return blocks
}

func tourCommands(block string) []tourCommand {
	var out []tourCommand
	lines := strings.Split(block, "\n")
	for len(lines) > 0 {
		line := lines[0]
		lines = lines[1:]
		if want, is := strings.CutPrefix(line, "# → "); is {
			last := &out[len(out)-1]
			last.want = append(last.want, want)
			continue
		}
		if strings.Contains(line, "<<'END'") {
			end := slices.Index(lines, "END") + 1
			line += "\n" + strings.Join(lines[:end], "\n")
			lines = lines[end:]
		}
		out = append(out, tourCommand{text: line})
	}
	return out
}

// tour is the first terminal, with the running system.
type tour struct {
	replace *strings.Replacer
	command *exec.Cmd
}

// adapt puts free ports and a folder of the test in place of the README's.
func (r *tour) adapt(c tourCommand) tourCommand {
	out := tourCommand{text: r.replace.Replace(c.text)}
	for _, want := range c.want {
		out.want = append(out.want, r.replace.Replace(want))
	}
	return out
}

// startTour types the first block and waits for what its last command shows.
func startTour(t *testing.T, block []tourCommand) *tour {
	t.Helper()
	binary := buildStandalone(t)
	addrs, err := consecutive(t.Context(), "127.0.0.1:0", 4)
	if err != nil {
		t.Fatal(err)
	}
	pairs := []string{tourFolder, t.TempDir(), tourProgram, "exec " + binary + " -log-level warn -ops-addr 127.0.0.1:0 -addr " + addrs[0]}
	for i, documented := range []int{8080, 8081, 8082, 8090} {
		_, port, _ := strings.Cut(addrs[i], ":")
		pairs = append(pairs, strconv.Itoa(documented), port)
	}
	r := &tour{replace: strings.NewReplacer(pairs...)}
	var script []string
	for _, c := range block {
		script = append(script, r.adapt(c).text)
	}
	r.command = bash(context.Background(), "-ec", strings.Join(script, "\n"))
	r.command.Stderr = os.Stderr
	output, err := r.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endGroup(r.command) })
	last := r.adapt(block[len(block)-1])
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if last.missing(lines.Text()) == "" {
			return r
		}
	}
	t.Fatalf("the system ended before it printed %q: %v", last.want, r.command.Wait())
	return nil
}

// stop presses Ctrl-C in the first terminal.
func (r *tour) stop() error {
	if err := r.command.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return r.command.Wait()
}

// bash is a shell in the root of the repository, of a user without settings of
// their own, and the first of a process group.
func bash(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "bash", append([]string{"--noprofile", "--norc"}, arguments...)...) //nolint:gosec // types what the README says
	command.Dir = filepath.Join("..", "..")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, environPrefix) {
			command.Env = append(command.Env, setting)
		}
	}
	return command
}

// endGroup kills a shell and what it has left behind.
func endGroup(command *exec.Cmd) { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) } // an error means that all have ended

// terminal is a shell that one types into.
type terminal struct {
	input io.Writer
	lines chan string
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	command := bash(t.Context())
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{input: input, lines: make(chan string, 1024)}
	go func() {
		defer close(term.lines)
		scanner := bufio.NewScanner(reader)
		scanner.Buffer(nil, 4<<20)
		for scanner.Scan() {
			term.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		endGroup(command)
		for range term.lines { // until the reader has ended
		}
		_ = reader.Close()
		_ = command.Wait() // it was killed
	})
	return term
}

// tourPrompt ends the output of a command, with the status it ended with.
const tourPrompt = "gatehouse-tour-prompt "

// run types a command and gives what it prints, and its status.
func (term *terminal) run(t *testing.T, text string) (output, status string) {
	t.Helper()
	if _, err := fmt.Fprintf(term.input, "%s\nprintf '\\n%s%%d\\n' $?\n", text, tourPrompt); err != nil {
		t.Fatal(err)
	}
	bound := time.After(tourBound)
	var printed []string
	for {
		select {
		case <-bound:
			t.Fatalf("no end within %v: %s\n%s", tourBound, text, strings.Join(printed, "\n"))
		case line, open := <-term.lines:
			if !open {
				t.Fatalf("the shell has ended: %s\n%s", text, strings.Join(printed, "\n"))
			}
			if status, is := strings.CutPrefix(line, tourPrompt); is {
				return strings.Join(printed, "\n"), status
			}
			printed = append(printed, line)
		}
	}
}

// check types a command, for a read as often as it needs to show what it must.
func (term *terminal) check(t *testing.T, c tourCommand) bool {
	t.Helper()
	output, status := term.run(t, c.text)
	if c.missing(output) != "" && c.isRead() {
		eventually(t, c.text+" shows "+c.missing(output), tourPatience, func() bool {
			output, status = term.run(t, c.text)
			return c.missing(output) == ""
		})
	}
	if missing := c.missing(output); missing != "" || status != "0" {
		t.Errorf("$ %s\n%.2000s\nstatus %s; the README shows %q", c.text, output, status, missing)
		return false
	}
	return true
}
