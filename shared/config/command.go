package config

import (
	"fmt"
	"io"
	"strings"
)

// Command loads the settings and carries out "config check" and "config
// print". It returns done when the program has nothing more to do: after such
// a command, or because of an error. Without arguments it is Load.
func Command(cfg any, args, environ []string, stdout io.Writer, prefixes ...string) (done bool, err error) {
	command := strings.Join(args, " ")
	switch command {
	case "", "config check", "config print":
	default:
		return true, fmt.Errorf("unknown arguments %q; there are: config check, config print, or none to serve", command)
	}
	if err := Load(cfg, environ, prefixes...); err != nil {
		return true, err
	}
	switch command {
	case "config check":
		_, err := fmt.Fprintln(stdout, "configuration is good")
		return true, err
	case "config print":
		return true, Print(stdout, cfg)
	}
	return false, nil
}
