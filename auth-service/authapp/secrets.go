package authapp

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"

	"gatehouse.internal/auth-service/internal/keys"
)

// subkey derives the key for one purpose from AUTH_ENCRYPTION_KEY.
func (c *Config) subkey(purpose string) ([]byte, error) {
	secret, err := c.encryptionKey()
	if err != nil {
		return nil, named("AUTH_ENCRYPTION_KEY", err)
	}
	return derive(secret, purpose)
}

// othersFor derives the keys for one purpose from AUTH_ENCRYPTION_KEY_OTHERS.
func (c *Config) othersFor(purpose string) ([][]byte, error) {
	secrets, err := c.otherKeys()
	if err != nil {
		return nil, named("AUTH_ENCRYPTION_KEY_OTHERS", err)
	}
	out := make([][]byte, 0, len(secrets))
	for _, secret := range secrets {
		key, err := derive(secret, purpose)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// subkeys are the key for one purpose and, behind it, those that are known
// besides.
func (c *Config) subkeys(purpose string) (key []byte, others [][]byte, err error) {
	if key, err = c.subkey(purpose); err == nil {
		others, err = c.othersFor(purpose)
	}
	return key, others, err
}

// keyName derives the name of AUTH_ENCRYPTION_KEY, which tells nothing of it.
func (c *Config) keyName() (string, error) {
	name, err := c.subkey(purposeKeyName)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(name[:8]), nil
}

func derive(secret []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, purpose, keys.EncryptionKeySize)
}
