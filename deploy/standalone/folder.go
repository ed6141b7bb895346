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
	"syscall"
)

// folder is the data folder: everything that a restart finds again. It belongs
// to one process at a time.
type folder struct {
	path string
	key  string   // the encryption key, in base64
	lock *os.File // held open for as long as the folder is used
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
	var err error
	if f.lock, err = lockFolder(path); err != nil {
		return folder{}, err
	}
	if f.key, err = f.openKey(); err != nil {
		return folder{}, errors.Join(err, f.close())
	}
	return f, nil
}

// lockFolder takes the folder itself as the lock, so that nothing is left
// behind by a process that was killed.
func lockFolder(path string) (*os.File, error) {
	file, err := os.Open(path) //nolint:gosec // the folder that the user names
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another process: %w", path, err), file.Close())
	}
	return file, nil
}

// close lets another process have the folder.
func (f folder) close() error { return f.lock.Close() }

// openKey reads the encryption key, or makes it in an empty folder.
func (f folder) openKey() (string, error) {
	keyFile := f.join("encryption.key")
	key, err := os.ReadFile(keyFile)
	switch {
	case err == nil:
		return strings.TrimSpace(string(key)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the encryption key: %w", err)
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return "", fmt.Errorf("read the data folder: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("%s is neither empty nor a data folder: it has no encryption.key", f.path)
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return "", fmt.Errorf("make the encryption key: %w", err)
	}
	made := base64.StdEncoding.EncodeToString(secret[:])
	if err := writeDurably(keyFile, []byte(made+"\n")); err != nil {
		return "", fmt.Errorf("keep the encryption key: %w", err)
	}
	return made, nil
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
