package auth

import (
	"encoding/binary"
	"encoding/hex"
	"time"
)

// uuid7 makes a UUIDv7 (RFC 9562 section 5.7) from a time and 16 random bytes.
// The 12 bits after the milliseconds hold the microseconds and n, so that ids
// of one time grow with n (section 6.2, method 3).
func uuid7(at time.Time, n int, random [16]byte) string {
	id := random
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(max(0, at.UnixMilli())))
	copy(id[:6], stamp[2:])
	fraction := min(at.Nanosecond()/1000%1000+n, 0xfff)
	id[6], id[7] = 0x70|byte(fraction>>8), byte(fraction)
	id[8] = id[8]&0x3f | 0x80
	return uuidText(id)
}

// uuidText is the canonical spelling of a UUID.
func uuidText(id [16]byte) string {
	var out [36]byte
	hex.Encode(out[0:8], id[0:4])
	hex.Encode(out[9:13], id[4:6])
	hex.Encode(out[14:18], id[6:8])
	hex.Encode(out[19:23], id[8:10])
	hex.Encode(out[24:36], id[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
