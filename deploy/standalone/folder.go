package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is the data folder: everything that a restart finds again.
type folder struct {
	path string
	key  string // the encryption key, in base64
}

func (f folder) join(name string) string { return filepath.Join(f.path, name) }

// openFolder makes the data folder if need be, and the encryption key on the
// first start. The key is what makes a folder ours: one that has other files
// but no key is not touched.
func openFolder(path string) (folder, error) {
	f := folder{path: path}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return folder{}, fmt.Errorf("make the data folder: %w", err)
	}
	keyFile := f.join("encryption.key")
	key, err := os.ReadFile(keyFile)
	switch {
	case err == nil:
		f.key = strings.TrimSpace(string(key))
		return f, nil
	case !errors.Is(err, fs.ErrNotExist):
		return folder{}, fmt.Errorf("read the encryption key: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return folder{}, fmt.Errorf("read the data folder: %w", err)
	}
	if len(entries) > 0 {
		return folder{}, fmt.Errorf("%s is neither empty nor a data folder: it has no encryption.key", path)
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return folder{}, fmt.Errorf("make the encryption key: %w", err)
	}
	f.key = base64.StdEncoding.EncodeToString(secret[:])
	if err := writeDurably(keyFile, []byte(f.key+"\n")); err != nil {
		return folder{}, fmt.Errorf("keep the encryption key: %w", err)
	}
	return f, nil
}

// writeDurably writes a private file whole or not at all.
func writeDurably(path string, content []byte) error {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
