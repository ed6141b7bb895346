// Command commonlist makes common.bin, the digests of common passwords that
// package password embeds, from the list src/passwords.json of the npm package
// @zxcvbn-ts/language-common:
//
//	npm pack @zxcvbn-ts/language-common@4.1.3 && tar xzf zxcvbn-ts-language-common-4.1.3.tgz
//	go run ./auth-service/internal/auth/password/commonlist package/src/passwords.json >auth-service/internal/auth/password/common.bin
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "commonlist:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("the path of passwords.json is needed")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var passwords []string
	if err := json.Unmarshal(data, &passwords); err != nil {
		return fmt.Errorf("read %s: %w", args[0], err)
	}
	var digests [][]byte
	for _, p := range passwords {
		p = strings.ToLower(norm.NFKC.String(p))
		if utf8.RuneCountInString(p) < 8 {
			continue // refused for its length under every configuration
		}
		sum := sha256.Sum256([]byte(p))
		digests = append(digests, sum[:8])
	}
	slices.SortFunc(digests, bytes.Compare)
	digests = slices.CompactFunc(digests, bytes.Equal)
	_, err = out.Write(bytes.Join(digests, nil))
	return err
}
