package password

import (
	"crypto/sha256"
	_ "embed" // for the list
	"sort"
)

// digestSize is how many bytes of its SHA-256 stand for a common password. With
// 8 bytes a good password is taken for a common one once in 10^15.
const digestSize = 8

// commonDigests are the digests of common passwords of at least eight
// characters, sorted. They were made by the program in commonlist from the npm
// package @zxcvbn-ts/language-common 4.1.3 (MIT, see common.LICENSE).
//
//go:embed common.bin
var commonDigests string

// common reports whether the password, in NFKC and lower case, is on the list.
func common(password string) bool {
	sum := sha256.Sum256([]byte(password))
	want := string(sum[:digestSize])
	n := len(commonDigests) / digestSize
	at := func(i int) string { return commonDigests[i*digestSize : (i+1)*digestSize] }
	i := sort.Search(n, func(i int) bool { return at(i) >= want })
	return i < n && at(i) == want
}
