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
// proves nothing else, and whoever steals one may try a few passwords more.
//
// It is one byte of version, 16 random bytes, 4 bytes of seconds since 1970,
// 8 bytes for each account, newest first, and 16 bytes of HMAC-SHA256 over what
// is before; in base64url. What stands for an account is an HMAC of the random
// bytes and the address, so that the token names nobody.
const (
	deviceVersion = 1
	deviceIDSize  = 16
	deviceHead    = 1 + deviceIDSize + 4
	deviceTagSize = 8
	deviceMACSize = 16
	maxDeviceTags = 8 // more accounts than one device usually has
	maxDeviceText = (deviceHead + maxDeviceTags*deviceTagSize + deviceMACSize + 2) / 3 * 4
)

// device is what a device token says. The zero value is a device that never
// signed in.
type device struct {
	id   [deviceIDSize]byte
	tags [][deviceTagSize]byte
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
	if err != nil || len(data) < deviceHead+deviceMACSize || data[0] != deviceVersion {
		return device{}, false
	}
	body, mac := data[:len(data)-deviceMACSize], data[len(data)-deviceMACSize:]
	tags := body[deviceHead:]
	ours := slices.ContainsFunc(all, func(k deviceKey) bool { return hmac.Equal(mac, k.macOf(body)) })
	if !ours || len(tags)%deviceTagSize != 0 {
		return device{}, false
	}
	issued := time.Unix(int64(binary.BigEndian.Uint32(body[1+deviceIDSize:])), 0)
	if !now.Before(issued.Add(DeviceTTL)) {
		return device{}, false
	}
	d := device{id: [deviceIDSize]byte(body[1:])}
	for t := range slices.Chunk(tags, deviceTagSize) {
		d.tags = append(d.tags, [deviceTagSize]byte(t))
	}
	return d, true
}

// write makes the token of a device.
func (all deviceKeys) write(d device, now time.Time) string {
	body := append([]byte{deviceVersion}, d.id[:]...)
	body = binary.BigEndian.AppendUint32(body, uint32(max(0, now.Unix())))
	for _, t := range d.tags {
		body = append(body, t[:]...)
	}
	return base64.RawURLEncoding.EncodeToString(append(body, all[0].macOf(body)...))
}

// knows reports whether the account with this address signed in on the device.
func (all deviceKeys) knows(d device, email string) bool {
	return slices.ContainsFunc(all, func(k deviceKey) bool { return slices.Contains(d.tags, k.tagOf(d, email)) })
}

// with notes a sign-in to an account, forgetting the oldest of too many.
func (all deviceKeys) with(d device, email string) device {
	others := slices.Clone(d.tags)
	for _, k := range all {
		tag := k.tagOf(d, email)
		others = slices.DeleteFunc(others, func(t [deviceTagSize]byte) bool { return t == tag })
	}
	d.tags = append([][deviceTagSize]byte{all[0].tagOf(d, email)}, others[:min(len(others), maxDeviceTags-1)]...)
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

// signedInHere gives the device token of a caller who opens a session of the
// user.
func (w *work) signedInHere(u User) string {
	d, known := w.svc.devices.read(w.caller.Device, w.now)
	if !known {
		w.fill(d.id[:])
	}
	return w.svc.devices.write(w.svc.devices.with(d, u.Email), w.now)
}
