package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
)

// DeviceTTL is how long a device is remembered after its last sign-in: as long
// as browsers keep a cookie (RFC 6265bis).
const DeviceTTL = 400 * 24 * time.Hour

// A device token says which accounts signed in on a device. The device keeps it
// and shows it at the next sign-in, where it earns an allowance of its own:
// who floods an account with wrong passwords cannot lock its owner out. It
// proves nothing else, and whoever steals one may try a few passwords more. Once
// the password is another, all devices that signed in before share one
// allowance, so that whoever knew the old one and made many is not better off.
//
// It is one byte of version, 16 random bytes, 4 bytes of seconds since 1970,
// 12 bytes for each account, newest first, and 16 bytes of HMAC-SHA256 over what
// is before; in base64url. What stands for an account is 8 bytes of an HMAC of
// the random bytes and the address, so that the token names nobody, and 4 bytes
// of seconds since 1970: when it signed in last. Version 1 lacks these.
const (
	deviceVersion = 2
	deviceUndated = 1 // the version without times
	deviceIDSize  = 16
	deviceHead    = 1 + deviceIDSize + 4
	deviceTagSize = 8
	deviceEntry   = deviceTagSize + 4
	deviceMACSize = 16
	maxDeviceTags = 8 // more accounts than one device usually has
	maxDeviceText = (deviceHead + maxDeviceTags*deviceEntry + deviceMACSize + 2) / 3 * 4
)

// device is what a device token says. The zero value is a device that never
// signed in.
type device struct {
	id       [deviceIDSize]byte
	accounts []deviceAccount
}

// deviceAccount is an account that signed in on a device, and when it did so
// last, in seconds since 1970; 0 if that is not known.
type deviceAccount struct {
	tag [deviceTagSize]byte
	at  uint32
}

// deviceKeys makes device tokens with the first of its keys, and reads what was
// made with any: while the secret of the server is replaced, devices that are
// known stay so. A token keeps what earlier keys wrote of other accounts, until
// those sign in on the device again.
type deviceKeys []deviceKey

// deviceKey is made from a secret of the server, a part for each purpose.
type deviceKey struct{ mac, tag []byte }

func newDeviceKeys(secrets ...[]byte) deviceKeys {
	all := make(deviceKeys, 0, len(secrets))
	for _, secret := range secrets {
		secret = keyed(secret, purposeDevices)
		all = append(all, deviceKey{mac: keyed(secret, "device token"), tag: keyed(secret, "device account")})
	}
	return all
}

// read gives what a token says; one that is missing, forged, malformed or too
// old is a device that never signed in.
func (all deviceKeys) read(text string, now time.Time) (device, bool) {
	if text == "" || len(text) > maxDeviceText {
		return device{}, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) < deviceHead+deviceMACSize || data[0] != deviceVersion && data[0] != deviceUndated {
		return device{}, false
	}
	size := deviceEntry
	if data[0] == deviceUndated {
		size = deviceTagSize
	}
	body, mac := data[:len(data)-deviceMACSize], data[len(data)-deviceMACSize:]
	entries := body[deviceHead:]
	ours := slices.ContainsFunc(all, func(k deviceKey) bool { return hmac.Equal(mac, k.macOf(body)) })
	if !ours || len(entries)%size != 0 || len(entries)/size > maxDeviceTags {
		return device{}, false
	}
	issued := time.Unix(int64(binary.BigEndian.Uint32(body[1+deviceIDSize:])), 0)
	if !now.Before(issued.Add(DeviceTTL)) {
		return device{}, false
	}
	d := device{id: [deviceIDSize]byte(body[1:])}
	for e := range slices.Chunk(entries, size) {
		a := deviceAccount{tag: [deviceTagSize]byte(e)}
		if size == deviceEntry {
			a.at = binary.BigEndian.Uint32(e[deviceTagSize:])
		}
		d.accounts = append(d.accounts, a)
	}
	return d, true
}

// write makes the token of a device.
func (all deviceKeys) write(d device, now time.Time) string {
	body := append([]byte{deviceVersion}, d.id[:]...)
	body = binary.BigEndian.AppendUint32(body, seconds(now))
	for _, a := range d.accounts {
		body = binary.BigEndian.AppendUint32(append(body, a.tag[:]...), a.at)
	}
	return base64.RawURLEncoding.EncodeToString(append(body, all[0].macOf(body)...))
}

// seconds is how a token has a time; one before 1970 is in 1970.
func seconds(t time.Time) uint32 { return uint32(max(0, t.Unix())) } //nolint:gosec // until 2106

// find gives what the token says of the account with this address.
func (all deviceKeys) find(d device, email string) (deviceAccount, bool) {
	for _, k := range all {
		tag := k.tagOf(d, email)
		i := slices.IndexFunc(d.accounts, func(a deviceAccount) bool { return a.tag == tag })
		if i >= 0 {
			return d.accounts[i], true
		}
	}
	return deviceAccount{}, false
}

// with notes a sign-in to an account, forgetting the oldest of too many.
func (all deviceKeys) with(d device, email string, now time.Time) device {
	others := slices.Clone(d.accounts)
	for _, k := range all {
		tag := k.tagOf(d, email)
		others = slices.DeleteFunc(others, func(a deviceAccount) bool { return a.tag == tag })
	}
	here := deviceAccount{tag: all[0].tagOf(d, email), at: seconds(now)}
	d.accounts = append([]deviceAccount{here}, others[:min(len(others), maxDeviceTags-1)]...)
	return d
}

func (k deviceKey) macOf(body []byte) []byte { return keyed(k.mac, string(body))[:deviceMACSize] }

func (k deviceKey) tagOf(d device, email string) [deviceTagSize]byte {
	return [deviceTagSize]byte(keyed(k.tag, string(d.id[:])+email))
}

// keyed is HMAC-SHA256.
func keyed(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}
